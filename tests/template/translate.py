"""Says what CloudFormation makes of a SAM template: reads one, writes the other.

Runs in the environment of requirements-template.txt, which has AWS's own translator.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


def translate(template: dict[str, Any]) -> dict[str, Any]:
    """Return the template after the SAM transform; raises what the translator has against it."""
    for one in template["Resources"].values():
        if one["Type"] == "AWS::Serverless::Function":
            uri = one["Properties"]["CodeUri"]
            if not uri.startswith("s3://"):  # not uploaded yet
                one["Properties"]["CodeUri"] = "s3://bucket/deployment.zip"
    translated = Translator({}, Parser()).translate(template, parameter_values={})
    return dict(translated)


if __name__ == "__main__":
    json.dump(translate(json.load(sys.stdin)), sys.stdout)
