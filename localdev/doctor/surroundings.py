"""Asks AWS for what is around the functions: queues, API, alarms, logs, rules, the secret."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from localdev.aws import names
from localdev.deploy.stack import Stack
from localdev.doctor.asking import ask, ask_for, attributes, client
from localdev.doctor.finding import Unknown
from localdev.door import readiness
from localdev.errors import StackError

if TYPE_CHECKING:
    from localdev.aws.account import Aws
    from localdev.doctor.declared import Declared

SEEN = dt.timedelta(minutes=10)


class Surroundings:
    """What one stage has besides its functions."""

    def __init__(self, account: Aws, declared: Declared) -> None:
        """Take the stage; nothing is asked yet."""
        self._account = account
        self._declared = declared
        self._stem = names.stem(declared.stage)

    def attributes(self, queue: str) -> dict[str, str] | Unknown | None:
        """Return the attributes of a queue; None if there is no such queue."""
        return attributes(self._client("sqs"), queue)

    def api(self) -> tuple[list[str] | Unknown, str | Unknown]:
        """Return the types of the API's endpoint, and what it has against being ready."""
        found = self._address()
        if isinstance(found, Unknown):
            return found, found
        number, url = found
        gateway = self._client("apigateway")
        types = ask(
            "apigateway:GET",
            lambda: list(
                gateway.get_rest_api(restApiId=number)
                .get("endpointConfiguration", {})
                .get("types", [])
            ),
        )
        return types, readiness(url)

    def watch(self) -> dict[str, Any]:
        """Return what is known of alarms, logs and the sweeper's invocations."""
        return {"alarms": self.alarms(), "log_days": self.log_days(), "sweeps": self.sweeps()}

    def alarms(self) -> list[dict[str, Any]] | Unknown:
        """Return the alarms whose names begin as the stage's do."""
        pages = self._client("cloudwatch").get_paginator("describe_alarms")
        asked = {"AlarmNamePrefix": f"{self._stem}-", "AlarmTypes": ["MetricAlarm"]}
        return ask(
            "cloudwatch:DescribeAlarms",
            lambda: [dict(one) for page in pages.paginate(**asked) for one in page["MetricAlarms"]],
        )

    def log_days(self) -> dict[str, int | None] | Unknown:
        """Return how long each function's log is kept."""
        pages = self._client("logs").get_paginator("describe_log_groups")
        prefix = f"/aws/lambda/{self._stem}"
        groups = ask(
            "logs:DescribeLogGroups",
            lambda: {
                one["logGroupName"]: one.get("retentionInDays")
                for page in pages.paginate(logGroupNamePrefix=prefix)
                for one in page["logGroups"]
            },
        )
        if isinstance(groups, Unknown):
            return groups
        names = self._declared.functions.items()
        return {short: groups.get(f"/aws/lambda/{name}") for short, name in names}

    def rules(self, function_arn: str) -> dict[str, str] | Unknown:
        """Return the rules that invoke a function, and the state of each."""
        events = self._client("events")
        return ask(
            "events:ListRuleNamesByTarget, events:DescribeRule",
            lambda: {
                name: str(events.describe_rule(Name=name)["State"])
                for name in events.list_rule_names_by_target(TargetArn=function_arn)["RuleNames"]
            },
        )

    def sweeps(self) -> int | Unknown:
        """Return how often the sweeper was invoked in the last ten minutes."""
        now = dt.datetime.now(dt.UTC)
        asked = {
            "Namespace": "AWS/Lambda",
            "MetricName": "Invocations",
            "Dimensions": [{"Name": "FunctionName", "Value": self._declared.functions["sweeper"]}],
            "StartTime": now - SEEN,
            "EndTime": now + dt.timedelta(minutes=1),  # the minute that has begun too
            "Period": int(SEEN.total_seconds()),
            "Statistics": ["Sum"],
        }
        cloudwatch = self._client("cloudwatch")
        return ask(
            "cloudwatch:GetMetricStatistics",
            lambda: int(
                sum(one["Sum"] for one in cloudwatch.get_metric_statistics(**asked)["Datapoints"])
            ),
        )

    def secret(self, arn: str) -> dict[str, Any] | Unknown | None:
        """Return what is told of a secret, never its value; None if there is no such secret."""
        if not arn:
            return None
        manager = client("secretsmanager", arn.split(":")[3])
        return ask_for(
            "secretsmanager:DescribeSecret", lambda: dict(manager.describe_secret(SecretId=arn))
        )

    def _client(self, service: str) -> Any:
        return client(service, self._declared.region)

    def _address(self) -> tuple[str, str] | Unknown:
        # As CloudFormation made it, or as Chalice noted when it deployed alone.
        try:
            outputs = Stack(self._account, self._stem).outputs()
        except StackError as error:
            return Unknown(str(error))
        if outputs:
            return outputs["RestAPIId"], outputs["EndpointURL"]
        noted = self._declared.chalice / "deployed" / f"{self._declared.stage}.json"
        if not noted.exists():
            return Unknown(f"there is no stack {self._stem}, and Chalice left no {noted.name}")
        for one in json.loads(noted.read_text(encoding="utf-8"))["resources"]:
            if one["resource_type"] == "rest_api":
                return str(one["rest_api_id"]), str(one["rest_api_url"]).rstrip("/") + "/"
        return Unknown(f"{noted.name} names no API")
