"""Writes the template of the stage prod, without what differs from machine to machine."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from tests.packages import MERGE, copied, packaged

SNAPSHOT = Path(__file__).with_name("sam.snapshot.json")


def reviewed(template: dict[str, Any]) -> str:
    """Return a SAM template as text: no versions, of a path its methods, of a dashboard titles."""
    whole: dict[str, Any] = json.loads(json.dumps(template))
    for one in whole["Resources"].values():
        properties = one["Properties"]
        if one["Type"] == "AWS::Serverless::Function":
            properties["Runtime"] = "python"
            del properties["Tags"]
    api = whole["Resources"]["RestAPI"]["Properties"]
    body = api["DefinitionBody"]
    body["paths"] = {path: sorted(methods) for path, methods in body["paths"].items()}
    api["GatewayResponses"] = sorted(api["GatewayResponses"])  # resources.json has them in full
    dashboard = whole["Resources"]["TasksDashboard"]["Properties"]
    widgets = json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    dashboard["DashboardBody"] = [widget["properties"]["title"] for widget in widgets]  # the same
    text = json.dumps(whole, indent=2, sort_keys=True)
    assert not re.search(r"python3\.|version=", text)
    return text + "\n"


def main() -> None:
    """Package and write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done = packaged(copied(folder, bare=True), folder / "out", *MERGE)
        assert done.returncode == 0, done.stderr
        template = json.loads((folder / "out" / "sam.json").read_text(encoding="utf-8"))
    SNAPSHOT.write_text(reviewed(template), encoding="utf-8")


if __name__ == "__main__":
    main()
