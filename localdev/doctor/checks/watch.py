"""What keeps watch: the sweeper, the alarms, the logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localdev.doctor.finding import Check, fine, known, warning, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localdev.doctor.facts import Facts
    from localdev.doctor.finding import Note


def _sweeper(facts: Facts) -> Iterator[Note]:
    declared, rules = known(facts.declared), known(facts.rules)
    if not rules:
        yield wrong("no rule invokes the sweeper", declared.repair())
    elif "ENABLED" not in rules.values():
        yield wrong(
            "the rule that invokes the sweeper is disabled",
            f"aws events enable-rule --region {declared.region} --name {next(iter(rules))}",
        )
    elif (sweeps := known(facts.sweeps)) == 0:
        yield wrong(
            "the sweeper was not invoked in the last ten minutes",
            "look for throttles of it: the account's concurrency may be used up",
        )
    else:
        yield fine(f"it was invoked {sweeps} times in the last ten minutes")


def _alarms(facts: Facts) -> Iterator[Note]:
    declared = known(facts.declared)
    found = {str(one["AlarmName"]): one for one in known(facts.alarms)}
    silent = []
    for name in declared.alarms:
        alarm = found.get(name)
        if alarm is None:
            yield wrong(f"there is no alarm {name}", declared.repair())
            continue
        if alarm["StateValue"] == "ALARM":
            yield wrong(
                f"{name} rings: {alarm.get('StateReason', '')}".rstrip(": "),
                "docs/operations.md, Alarms, tells what to do",
            )
        elif alarm["StateValue"] == "INSUFFICIENT_DATA":
            yield warning(
                f"{name} has not seen any data",
                "wait for five minutes after a deployment; then see the check sweeper",
            )
        if not (alarm.get("ActionsEnabled") and alarm.get("AlarmActions")):
            silent.append(name)
    if silent:
        yield warning(
            f"nobody is told by {', '.join(silent)}",
            declared.deploy(
                "--parameter AlarmTopicArn=arn:aws:sns:…, or aws cloudwatch "
                "enable-alarm-actions if they were disabled"
            ),
        )
    yield fine(f"{len(declared.alarms)} alarms")


def _logs(facts: Facts) -> Iterator[Note]:
    declared, days = known(facts.declared), known(facts.log_days)
    for short, name in declared.functions.items():
        if days.get(short) is None:
            yield warning(
                f"the log of {name} is kept for ever, or there is none yet",
                f"aws logs put-retention-policy --region {declared.region} --log-group-name "
                f"/aws/lambda/{name} --retention-in-days {declared.log_days}",
            )
    yield fine(f"{declared.log_days} days are declared")


CHECKS = (
    Check(
        "sweeper",
        "the sweeper runs every minute",
        "Until it runs, nothing that was lost is sent again, nobody ends what a dead worker held, "
        "and tasks that are due later do not begin.",
        _sweeper,
    ),
    Check(
        "alarms",
        "the alarms are there, tell somebody, and do not ring",
        "What fails at night is found in the morning by a client, if nobody is told.",
        _alarms,
    ),
    Check(
        "log-retention",
        "logs are not kept for ever",
        "CloudWatch keeps a log for ever unless it is told otherwise, and it is paid for by size.",
        _logs,
    ),
)
