"""A packaged stage, unpacked: what its template says of each function, and processes of them."""

from __future__ import annotations

import platform
import re
import shutil
import sys
import zipfile
from typing import TYPE_CHECKING, Any

from chalicelib.settings import Settings
from localdev import tools
from localdev.deploy.package import read
from localdev.errors import StackError
from localdev.lambda_runtime.sandbox import Sandbox
from localdev.mapping.declared import Declared, QueueSource, Schedule, seconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localdev.deploy.package import Package

#: The client with which AWS's own Python runtime runs a handler.
CLIENT = ("-m", "awslambdaric")
_API = "api_handler"
_REFERENCE = re.compile(r"\$\{(\w+)\.Arn\}")
_WAY = {
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_ENDPOINT_URL_SQS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_SECRET_ACCESS_KEY",
    "NO_PROXY",
    "no_proxy",
}
# Source: AWS Lambda Developer Guide, "Working with Lambda environment variables".
_RUNTIME = {
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_LAMBDA_LOG_STREAM_NAME": "local",
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    # There nothing can be written beside the code.
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Bundle:
    """A package as Lambda would have it: alone in a folder, each function with its environment."""

    def __init__(self, package: Package, home: Path, more: Mapping[str, str]) -> None:
        """Take a package that is unpacked in ``home``.

        ``more`` is what the functions' environments have besides what the template gives them,
        and wins over it.
        """
        self.home = home
        self._resources: dict[str, dict[str, Any]] = package.template["Resources"]
        self._more = more
        self._functions = _functions(package.template)

    @classmethod
    def of(cls, folder: Path, more: Mapping[str, str]) -> Bundle:
        """Return the package that make() has put into ``folder``, unpacked beside its zip.

        Raises StackError if it cannot run on this machine.
        """
        package = read(folder)
        return cls(package, unpacked(package, folder / "task"), more)

    def environ(self, function: str) -> dict[str, str]:
        """Return the whole environment of a function."""
        properties = self._functions[function]
        variables: dict[str, Any] = properties["Environment"]["Variables"]
        name = properties["FunctionName"]
        region = self._more.get("AWS_DEFAULT_REGION", "us-east-1")
        return {
            **_RUNTIME,
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties["MemorySize"]),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{properties['Runtime']}",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "LAMBDA_TASK_ROOT": str(self.home),
            "_HANDLER": properties["Handler"],
            # What is no text there, CloudFormation would have filled in.
            **{name: value for name, value in variables.items() if isinstance(value, str)},
            **self._more,
        }

    def start(self, function: str, handler: str = "") -> Sandbox:
        """Start a process for the function, and do not wait for it.

        ``handler`` is for another one than the template's.
        """
        environ = self.environ(function) | ({"_HANDLER": handler} if handler else {})
        python = tools.python_of("lambda")
        return Sandbox([python, *CLIENT, environ["_HANDLER"]], self.home, environ)

    def declared(self) -> Declared:
        """Return what the template declares besides the API."""
        queues, schedules = [], []
        for name, properties in self._functions.items():
            for event in properties.get("Events", {}).values():
                told = event["Properties"]
                match event["Type"]:
                    case "SQS":
                        queues.append(self._queue(name, told))
                    case "Schedule":
                        expression = told["Schedule"]
                        schedules.append(Schedule(name, seconds_of(expression), expression))
        return Declared(frozenset(self._functions) - {_API}, tuple(queues), tuple(schedules))

    def _queue(self, function: str, told: dict[str, Any]) -> QueueSource:
        text = str(told["Queue"]["Fn::Sub"])
        made = _REFERENCE.fullmatch(text)
        queue = self._resources[made[1]]["Properties"]["QueueName"] if made else text
        return QueueSource(
            function=function,
            queue=queue.rpartition(":")[2],
            batch_size=told["BatchSize"],
            window=told["MaximumBatchingWindowInSeconds"],
            concurrency=_concurrency(told, self.environ(function)),
        )


def _concurrency(told: dict[str, Any], environ: Mapping[str, str]) -> int:
    # With pollers of its own a mapping has none, and here they are as many as without them.
    if "ScalingConfig" in told:
        return int(told["ScalingConfig"]["MaximumConcurrency"])
    name = "MAXIMUM_CONCURRENCY"
    return Settings.from_env({name: environ[name]} if name in environ else {}).maximum_concurrency


def beside(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of our own environment functions shall have: settings, and the way to SQS.

    Not AUTH, which Lambda would refuse to find off; only the API's function asks for keys.
    """
    wanted = {name.upper() for name in Settings.model_fields} - {"AUTH"} | _WAY
    return {name: value for name, value in environ.items() if name in wanted}


def unpacked(package: Package, home: Path) -> Path:
    """Unpack the package into the folder ``home``, in place of what is there, and return it.

    Raises StackError if it is for other machines than this one.
    """
    properties = _functions(package.template)[_API]
    wanted = ("linux", properties["Architectures"][0], properties["Runtime"])
    machine = platform.machine().replace("aarch64", "arm64")
    here = (sys.platform, machine, f"python{sys.version_info.major}.{sys.version_info.minor}")
    if wanted != here:
        raise StackError(
            f"the package is for {', '.join(wanted)}; it cannot run here, on {', '.join(here)}"
        )
    shutil.rmtree(home, ignore_errors=True)
    with zipfile.ZipFile(package.zip) as archive:
        archive.extractall(home)
    return home


def _functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    # Chalice names them APP-STAGE-FUNCTION, and the API's APP-STAGE.
    resources: dict[str, dict[str, Any]] = template["Resources"]
    whole = resources["APIHandler"]["Properties"]["FunctionName"]
    found = (
        one["Properties"]
        for one in resources.values()
        if one["Type"] == "AWS::Serverless::Function"
    )
    return {one["FunctionName"].removeprefix(whole).removeprefix("-") or _API: one for one in found}
