"""The second queue and worker of a stage with PRIORITY_QUEUE=on: in all as the first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from chalicelib.chalice_cli import HIGH_WORKER

if TYPE_CHECKING:
    from chalicelib.settings import Settings

#: What a template has twice, of resources.json.
_TWICE = (
    "TasksQueue",
    "TasksQueuePolicy",
    "Worker",
    "WorkerLogGroup",
    "OldMessageAlarm",
    "WorkerErrorsAlarm",
    "WorkerThrottlesAlarm",
)
#: How the second of each is called, in JSON.
_RENAMED = (
    ("TasksQueue", "TasksHighQueue"),
    ('"Worker', '"WorkerHigh'),
    ('"OldMessage', '"OldMessageHigh'),
    ("-old-message", "-old-message-high"),
    ("${STAGE}-worker", f"${{STAGE}}-{HIGH_WORKER}"),
    ('${QUEUE_NAME}"', '${QUEUE_NAME}-high"'),
    ('"label": "waiting"', '"label": "waiting, high"'),
    ('"label": "hidden"', '"label": "hidden, high"'),
)


def mend_config(configuration: Any) -> None:
    """Mend ``chalice.config``, so that the second worker is configured as the first."""
    whole = configuration.Config
    scope = whole.scope

    def scoping(self: Any, chalice_stage: str, function_name: str) -> Any:
        return scope(
            self, chalice_stage, "worker" if function_name == HIGH_WORKER else function_name
        )

    whole.scope = scoping


def names(told: Settings) -> dict[str, str]:
    """Return what stands for the tokens of the second queue, if there is one."""
    high = told.high_queue_name
    return {"HIGH_QUEUE_NAME": high, "HIGH_WORKER": HIGH_WORKER} if high else {}


def seconds(resources: dict[str, Any]) -> dict[str, Any]:
    """Return what is there a second time, of these resources with their tokens."""
    found: dict[str, Any] = _second({name: resources[name] for name in _TWICE})
    return found


def apply(template: dict[str, Any], ours: dict[str, Any], merger: Any) -> None:
    """Add the second ones to a SAM template, in place; ``ours`` is resources.json."""
    resources = template["Resources"]
    for name, part in seconds(ours["Resources"]).items():
        resources[name] = merger.merge(part, resources.get(name, {}))
    dead = resources["TasksDeadLetterQueue"]["Properties"]
    sources = dead["RedriveAllowPolicy"]["sourceQueueArns"]
    dead["RedriveAllowPolicy"] = {**dead["RedriveAllowPolicy"], "sourceQueueArns": _both(sources)}
    for widget in resources["TasksDashboard"]["Properties"]["DashboardBody"]["widgets"]:
        told = widget["properties"]
        told |= {name: _both(told[name]) for name in ("metrics", "alarms") if name in told}
    template["Outputs"]["HighQueueURL"] = {"Value": {"Ref": "TasksHighQueue"}}


def _both(parts: list[Any]) -> list[Any]:
    return [*parts, *(second for part in parts if (second := _second(part)) != part)]


def _second(part: Any) -> Any:
    text = json.dumps(part)
    for first, second in _RENAMED:
        text = text.replace(first, second)
    return json.loads(text)
