"""The schemas of what is sent and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from chalicelib.registry import registry
from chalicelib.schemas.rules import MOST_NAMED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel
    from pydantic.json_schema import JsonSchemaMode

    from chalicelib.web.openapi.routes import Route

REF = "#/components/schemas/"

#: A request that would do something sensible, for each model of a body.
EXAMPLES: dict[str, dict[str, Any]] = {
    "NewTask": {"title": "Process User Data", "description": "Extract and transform"},
    "NewBatch": {"tasks": [{"title": "One"}, {"title": "Two", "tags": ["nightly"]}]},
    "TaskChanges": {"title": "Process User Data later", "delay_seconds": 3600},
    "NewLimits": {"running": 20, "running_per_key": 2, "rate": 5.0, "burst": 10},
    "NewSchedule": {
        "name": "nightly",
        "cron": "30 2 * * *",
        "time_zone": "Europe/Berlin",
        "task": {"title": "Nightly report"},
    },
    "ScheduleChanges": {"cron": "0 3 * * MON-FRI"},
    "RetryMany": {"status": "failed", "tag": "nightly", "limit": 100},
}

#: RFC 9457, with this service's own members.
PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "What was wrong with a request (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {
            "description": "Decide by this: `urn:problem-type:tasks:` and a name, or "
            "`about:blank`, where the status says all there is.",
            "type": "string",
            "format": "uri",
        },
        "title": {"description": "The same for each problem of the type.", "type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"description": "What was wrong this time.", "type": "string"},
        "instance": {"description": "The path that was asked.", "type": "string"},
        "request_id": {"description": "As in the log.", "type": "string"},
        "current": {"$ref": REF + "Status"},
        "unnamed": {
            "description": "How many more broken rules there are than `errors` names.",
            "type": "integer",
            "minimum": 1,
        },
        "errors": {
            "description": f"Each broken rule, or the first {MOST_NAMED} of them.",
            "type": "array",
            "maxItems": MOST_NAMED,
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {
                        "description": "A JSON pointer into the body.",
                        "type": "string",
                    },
                    "parameter": {
                        "description": "A name in the query or the path.",
                        "type": "string",
                    },
                    "detail": {"description": "The rule.", "type": "string"},
                },
            },
        },
    },
}


_TWO_TIMES = {
    "required": ["run_at", "delay_seconds"],
    "properties": {"run_at": {"type": "string"}, "delay_seconds": {"type": "number"}},
}
_SCOPE_WITHOUT_KEY = {
    "required": ["unique_scope"],
    "properties": {"unique_scope": {"type": "string"}, "unique_key": {"type": "null"}},
}
_BURST_WITHOUT_RATE = {
    "required": ["burst"],
    "properties": {"burst": {"type": "number"}, "rate": {"type": "null"}},
}
_NOTHING = {
    "required": ["delay_seconds"],
    "properties": {"delay_seconds": {"type": "null"}},
    "maxProperties": 1,
}
#: The rules between fields.
RULES: dict[str, dict[str, Any]] = {
    "NewLimits": {"not": _BURST_WITHOUT_RATE},
    "NewTask": {"not": {"anyOf": [_TWO_TIMES, _SCOPE_WITHOUT_KEY]}},
    "ScheduleChanges": {"minProperties": 1},
    "TaskChanges": {"not": {"anyOf": [_TWO_TIMES, _NOTHING]}, "minProperties": 1},
}


class _Schemas(GenerateJsonSchema):
    """Pydantic's, without a title for each field."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def components(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the schemas of all models of ``routes``, by name."""
    sent = {r.operation.takes for r in routes if r.operation and r.operation.takes}
    shown = {r.shows for r in routes if r.shows}
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "validation") for model in sent),
        *((model, "serialization") for model in shown),
    ]
    models.sort(key=lambda pair: pair[0].__name__)
    _, told = models_json_schema(models, schema_generator=_Schemas, ref_template=REF + "{model}")
    schemas: dict[str, Any] = told["$defs"] | {"Problem": PROBLEM}
    for model in shown:
        # Whatever has a default is shown all the same.
        schemas[model.__name__]["required"] = list(schemas[model.__name__]["properties"])
    for name, example in EXAMPLES.items():
        schemas[name] |= {"examples": [example]} | RULES.get(name, {})
    for name in ("NewTask", "ScheduledTask"):
        schemas[name]["properties"]["kind"]["enum"] = sorted(registry.kinds)
    for name in ("TaskChanges", "ScheduleChanges"):
        for field in schemas[name]["properties"].values():
            field.pop("default", None)
    return dict(sorted(schemas.items()))


def parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return the fields of ``model`` as parameters of a query."""
    told = model.model_json_schema(schema_generator=_Schemas, ref_template=REF + "{model}")
    return [
        _described(field, {"name": name, "in": "query", "required": False})
        for name, field in told["properties"].items()
    ]


def _described(field: dict[str, Any], parameter: dict[str, Any]) -> dict[str, Any]:
    # A parameter that is left out is not null; there is no way to send one that is.
    choices = [one for one in field.get("anyOf", [field]) if one != {"type": "null"}]
    schema = {key: value for key, value in choices[0].items() if key != "description"}
    about = {"description": field["description"]} if "description" in field else {}
    return parameter | about | {"schema": schema}
