"""The mappings that feed the worker, of one queue or of two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.chalice_cli.mapping import REPORT
from localdev.doctor.finding import Check, NotKnownError, fine, known, warning, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.chalice_cli.options import Pollers
    from chalicelib.settings import Settings
    from localdev.doctor.facts import Facts
    from localdev.doctor.finding import Note


def _mapping(facts: Facts) -> Iterator[Note]:
    settings = known(facts.settings)
    queues = _queues(settings)
    for queue in queues:
        yield from _mapping_of(facts, queue)
    others = len(known(facts.mappings)) - sum(bool(_its_mapping(facts, one)) for one in queues)
    if others:
        yield warning(
            f"{others} more mappings feed the worker, from other queues",
            "delete those that an older QUEUE_NAME left: aws lambda delete-event-source-mapping",
        )
    yield fine(f"{' and '.join(queues)} feed{'s' if len(queues) == 1 else ''} the worker")


def _mapping_of(facts: Facts, queue: str) -> Iterator[Note]:
    declared, settings = known(facts.declared), known(facts.settings)
    mapping = _its_mapping(facts, queue)
    if mapping is None:
        yield wrong(f"nothing feeds the worker from {queue}", declared.repair())
        return
    state = mapping.get("State", "Enabled")
    if state in ("Disabled", "Disabling", "Deleting"):
        cure = _update(facts, queue, "--enabled")
        yield wrong(f"the mapping is {state}: no task is worked", cure)
    elif state != "Enabled":
        yield warning(f"the mapping is {state}", "look again in a minute")
    pollers = declared.options.pollers if queue == settings.queue_name else None
    for name, real, told, option in _declared_of(mapping, settings, pollers):
        if real != told:
            cure = _update(facts, queue, option.format(told))
            yield warning(f"{name} is {told}, and the mapping has {real}", cure)


def _queues(settings: Settings) -> list[str]:
    return [name for name in (settings.queue_name, settings.high_queue_name) if name]


def _declared_of(
    mapping: dict[str, Any], settings: Settings, pollers: Pollers | None
) -> Iterator[tuple[str, int | None, int, str]]:
    # What app.py declares, and what the mapping has of it.
    yield "BATCH_SIZE", mapping.get("BatchSize"), settings.batch_size, "--batch-size {}"
    window = mapping.get("MaximumBatchingWindowInSeconds") or 0
    option = "--maximum-batching-window-in-seconds {}"
    yield "BATCH_WINDOW", window, settings.batch_window, option
    yield from _scaling(mapping, settings, pollers)


def _scaling(
    mapping: dict[str, Any], settings: Settings, pollers: Pollers | None
) -> Iterator[tuple[str, int | None, int, str]]:
    # AWS takes one of the two; docs/deploy.md, "Options of a stage".
    scaling = (mapping.get("ScalingConfig") or {}).get("MaximumConcurrency")
    if pollers is None:
        option = "--scaling-config MaximumConcurrency={}"
        yield "MAXIMUM_CONCURRENCY", scaling, settings.maximum_concurrency, option
        return
    provisioned = mapping.get("ProvisionedPollerConfig") or {}
    for name, told in (("Minimum", pollers.minimum), ("Maximum", pollers.maximum)):
        option = f"--provisioned-poller-config {name}Pollers={{}}"
        yield f"pollers.{name.lower()}", provisioned.get(f"{name}Pollers"), told, option


def _partial(facts: Facts) -> Iterator[Note]:
    for queue in _queues(known(facts.settings)):
        yield from _partial_of(facts, queue)


def _partial_of(facts: Facts, queue: str) -> Iterator[Note]:
    settings, mapping = known(facts.settings), _its_mapping(facts, queue)
    if mapping is None:
        raise NotKnownError("there is no mapping")
    reports = mapping.get("FunctionResponseTypes") == REPORT
    if settings.partial_batch == "report" and not reports:
        yield wrong(
            "PARTIAL_BATCH is report, and the mapping has no ReportBatchItemFailures: Lambda "
            "deletes the messages of attempts that failed",
            _update(facts, queue, f"--function-response-types {REPORT[0]}"),
        )
    elif settings.partial_batch == "delete" and reports:
        yield warning(
            "the mapping reports partial batches, and PARTIAL_BATCH is delete: after a failure the "
            "worker deletes what is done by itself and raises",
            "set PARTIAL_BATCH to report in .chalice/config.json, then "
            f"{known(facts.declared).deploy()}",
        )
    else:
        yield fine(f"PARTIAL_BATCH is {settings.partial_batch}, as the mapping has it")


def _its_mapping(facts: Facts, queue: str) -> dict[str, Any] | None:
    for mapping in known(facts.mappings):
        if str(mapping["EventSourceArn"]).rpartition(":")[2] == queue:
            return mapping
    return None


def _update(facts: Facts, queue: str, change: str) -> str:
    mapping, region = _its_mapping(facts, queue) or {}, known(facts.declared).region
    return (
        f"aws lambda update-event-source-mapping --region {region} --uuid {mapping.get('UUID')} "
        f"{change}"
    )


CHECKS = (
    Check(
        "mapping",
        "the queue feeds the worker, as the settings say",
        "Without it no task is worked. Its concurrency is what keeps the worker within the "
        "database's connections.",
        _mapping,
    ),
    Check(
        "partial-batches",
        "PARTIAL_BATCH says what the mapping does",
        "Without ReportBatchItemFailures Lambda takes the worker's answer for success and deletes "
        "every message of the batch; what failed then waits for the sweeper.",
        _partial,
    ),
)
