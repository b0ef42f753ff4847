"""The front door: HTTP routes, the queue worker, the sweeper, the migrator, the admin desk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalice.app import Chalice, Rate

from chalicelib import chalice_cli, runtime, web
from chalicelib.schemas import (
    Attempts,
    Batch,
    Created,
    Health,
    Kinds,
    Limits,
    ListQuery,
    NewBatch,
    NewLimits,
    NewSchedule,
    NewTask,
    Retried,
    RetryMany,
    ScheduleChanges,
    SchedulePage,
    ScheduleQuery,
    ScheduleView,
    Stats,
    StatsQuery,
    TaskChanges,
    TaskPage,
    TaskView,
)
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import CloudWatchEvent, SQSEvent

    from chalicelib.web import Call

chalice_cli.mend()
settings = Settings.from_env()
app = Chalice(app_name="tasks", configure_logs=False)


@app.middleware("all")
def observe(event: Any, respond: Callable[[Any], Any]) -> Any:
    """Let what an event leads to be one trace, and its log lines tell whose they are."""
    return runtime.observed(event, respond, web.invocation_of)


app.register_middleware(web.tell, "http")
app.register_middleware(web.plain_errors_as_problems, "http")


@app.route("/tasks", methods=["POST"], content_types=["*/*"])
@web.endpoint(app, scope="tasks:write", takes=NewTask, status=201, keyed=True, waits=True)
def create_task(call: Call[NewTask]) -> Created:
    """Store a task and queue it."""
    desk = runtime.current().serve(call.authorization)
    return desk.create(call.sent, key=call.idempotency_key, wait=call.wait)


@app.route("/tasks/batch", methods=["POST"], content_types=["*/*"])
@web.endpoint(app, scope="tasks:write", takes=NewBatch, status=201, keyed=True)
def create_tasks(call: Call[NewBatch]) -> Batch:
    """Store up to 1,000 tasks, all or none, and queue them."""
    desk = runtime.current().serve(call.authorization)
    return desk.create_many(call.sent, key=call.idempotency_key)


@app.route("/tasks", methods=["GET"])
@web.endpoint(app, scope="tasks:read", takes=ListQuery)
def list_tasks(call: Call[ListQuery]) -> TaskPage:
    """List tasks, newest first."""
    return runtime.current().serve(call.authorization).find(call.sent)


@app.route("/tasks/{task_id}", methods=["GET"])
@web.endpoint(app, scope="tasks:read", waits=True)
def get_task(call: Call[None]) -> TaskView:
    """Show one task."""
    desk = runtime.current().serve(call.authorization)
    return desk.get(call.task_id, known=call.known, wait=call.wait)


@app.route("/tasks/{task_id}/attempts", methods=["GET"])
@web.endpoint(app, scope="tasks:read")
def get_attempts(call: Call[None]) -> Attempts:
    """Show every attempt of a task: when, how long, how it ended and where it ran."""
    return runtime.current().serve(call.authorization).attempts(call.task_id)


@app.route("/tasks/{task_id}", methods=["PATCH"], content_types=["*/*"])
@web.endpoint(app, scope="tasks:write", takes=TaskChanges, conditional=True)
def update_task(call: Call[TaskChanges]) -> TaskView:
    """Change a task that waits."""
    desk = runtime.current().serve(call.authorization)
    return desk.update(call.task_id, call.sent, versions=call.versions)


@app.route("/tasks/{task_id}/cancel", methods=["POST"], content_types=["*/*"])
@web.endpoint(app, scope="tasks:write", conditional=True)
def cancel_task(call: Call[None]) -> TaskView:
    """Cancel a waiting task, or ask the worker of a running one to stop."""
    desk = runtime.current().serve(call.authorization)
    return desk.cancel(call.task_id, versions=call.versions)


@app.route("/tasks/{task_id}/retry", methods=["POST"], content_types=["*/*"])
@web.endpoint(app, scope="tasks:write", conditional=True)
def retry_task(call: Call[None]) -> TaskView:
    """Give a failed or cancelled task new attempts."""
    desk = runtime.current().serve(call.authorization)
    return desk.retry(call.task_id, versions=call.versions)


@app.route("/tasks/retry", methods=["POST"], content_types=["*/*"])
@web.endpoint(app, scope="tasks:write", takes=RetryMany)
def retry_tasks(call: Call[RetryMany]) -> Retried:
    """Give new attempts to the failed or cancelled tasks that fit a filter."""
    return runtime.current().serve(call.authorization).retry_many(call.sent)


@app.route("/tasks/{task_id}", methods=["DELETE"])
@web.endpoint(app, scope="tasks:write", status=204, conditional=True)
def delete_task(call: Call[None]) -> None:
    """Delete a finished task."""
    desk = runtime.current().serve(call.authorization)
    desk.delete(call.task_id, versions=call.versions)


@app.route("/schedules", methods=["POST"], content_types=["*/*"])
@web.endpoint(app, scope="tasks:write", takes=NewSchedule, status=201)
def create_schedule(call: Call[NewSchedule]) -> ScheduleView:
    """Have a task made again and again."""
    return runtime.current().schedule(call.authorization).create(call.sent)


@app.route("/schedules", methods=["GET"])
@web.endpoint(app, scope="tasks:read", takes=ScheduleQuery)
def list_schedules(call: Call[ScheduleQuery]) -> SchedulePage:
    """List schedules, newest first."""
    return runtime.current().schedule(call.authorization).find(call.sent)


@app.route("/schedules/{schedule_id}", methods=["GET"])
@web.endpoint(app, scope="tasks:read")
def get_schedule(call: Call[None]) -> ScheduleView:
    """Show one schedule, and when it makes its next tasks."""
    return runtime.current().schedule(call.authorization).get(call.schedule_id)


@app.route("/schedules/{schedule_id}", methods=["PATCH"], content_types=["*/*"])
@web.endpoint(app, scope="tasks:write", takes=ScheduleChanges)
def update_schedule(call: Call[ScheduleChanges]) -> ScheduleView:
    """Change a schedule, or pause it."""
    return runtime.current().schedule(call.authorization).update(call.schedule_id, call.sent)


@app.route("/schedules/{schedule_id}", methods=["DELETE"])
@web.endpoint(app, scope="tasks:write", status=204)
def delete_schedule(call: Call[None]) -> None:
    """Delete a schedule; the tasks that it made stay."""
    runtime.current().schedule(call.authorization).delete(call.schedule_id)


@app.route("/stats", methods=["GET"])
@web.endpoint(app, scope="tasks:read", takes=StatsQuery)
def get_stats(call: Call[StatsQuery]) -> Stats:
    """Tell how the tasks stand, and how they fared of late."""
    return runtime.current().serve(call.authorization).stats(call.sent)


@app.route("/healthz", methods=["GET"])
@web.endpoint(app)
def healthz(call: Call[None]) -> Health:  # noqa: ARG001
    """Say that the code answers; nothing behind it is asked."""
    return Health()


@app.route("/readyz", methods=["GET"])
@web.endpoint(app)
def readyz(call: Call[None]) -> Health:  # noqa: ARG001
    """Say that tasks can be taken: the database answers and its schema is new enough."""
    return runtime.current().readiness()


@app.route("/kinds", methods=["GET"])
@web.endpoint(app, scope="tasks:read")
def list_kinds(call: Call[None]) -> Kinds:
    """List the kinds of tasks, with the JSON Schema of their payloads."""
    return runtime.current().serve(call.authorization).kinds()


@app.route("/kinds/{kind}/limits", methods=["GET"])
@web.endpoint(app, scope="admin")
def get_limits(call: Call[None]) -> Limits:
    """Show the limits of a kind, and how many tasks they hold back."""
    return runtime.current().limit(call.authorization).get(call.kind)


@app.route("/kinds/{kind}/limits", methods=["PUT"], content_types=["*/*"])
@web.endpoint(app, scope="admin", takes=NewLimits)
def put_limits(call: Call[NewLimits]) -> Limits:
    """Set the limits of a kind; what is left out is no limit."""
    return runtime.current().limit(call.authorization).put(call.kind, call.sent)


@app.route("/kinds/{kind}/pause", methods=["POST"], content_types=["*/*"])
@web.endpoint(app, scope="admin")
def pause_kind(call: Call[None]) -> Limits:
    """Let no attempt of a kind begin."""
    return runtime.current().limit(call.authorization).pause(call.kind)


@app.route("/kinds/{kind}/resume", methods=["POST"], content_types=["*/*"])
@web.endpoint(app, scope="admin")
def resume_kind(call: Call[None]) -> Limits:
    """Let attempts of a kind begin again."""
    return runtime.current().limit(call.authorization).resume(call.kind)


@app.route("/openapi.json", methods=["GET"])
@web.page(app, "application/json")
def openapi(root: str) -> str:
    """Describe this API in OpenAPI 3.1."""
    return web.description(app, root)


@app.route("/", methods=["GET"])
@web.page(app, "text/html")
def dashboard(root: str) -> str:
    """Show the tasks on a page: how they fare, what happened to each, and what can be done."""
    return web.html_file("page/index.html", root)


@app.route("/page.css", methods=["GET"])
@web.page(app, "text/css")
def dashboard_style(root: str) -> str:  # noqa: ARG001
    """Show how that page looks."""
    return web.file("page/page.css")


@app.route("/page.js", methods=["GET"])
@web.page(app, "text/javascript")
def dashboard_script(root: str) -> str:  # noqa: ARG001
    """Show what makes that page move."""
    return web.script()


@app.route("/docs", methods=["GET"])
@web.page(app, "text/html")
def docs(root: str) -> str:
    """Show this API on a page, to read and to try."""
    return web.html_file("docs/index.html", root)


@app.route("/docs/viewer.js", methods=["GET"])
@web.page(app, "text/javascript")
def docs_viewer(root: str) -> str:  # noqa: ARG001
    """Show the script of that page."""
    return web.file("docs/viewer.js")


@app.route("/docs/openapi-explorer.min.js", methods=["GET"])
@web.page(app, "text/javascript")
def docs_library(root: str) -> str:  # noqa: ARG001
    """Show the library that the page is drawn with."""
    return web.file("docs/openapi-explorer.min.js")


mapping: dict[str, Any] = {
    "batch_size": settings.batch_size,
    "maximum_batching_window_in_seconds": settings.batch_window,
    "maximum_concurrency": settings.maximum_concurrency,
}


@app.on_sqs_message(queue=settings.queue_name, name="worker", **mapping)
def work(event: SQSEvent) -> dict[str, Any]:
    """Work a batch of messages."""
    return runtime.current().work(event.to_dict(), event.context)


if settings.high_queue_name:

    @app.on_sqs_message(queue=settings.high_queue_name, name=chalice_cli.HIGH_WORKER, **mapping)
    def work_high(event: SQSEvent) -> dict[str, Any]:
        """Work a batch of messages of tasks of high priority."""
        return runtime.current().work(event.to_dict(), event.context)


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweeper")
def sweep(event: CloudWatchEvent) -> dict[str, int]:
    """Do what should have happened by now."""
    return runtime.current().sweep(event.to_dict(), event.context)


@app.lambda_function(name="migrate")
def migrate(event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Bring the database's schema up to date."""
    return runtime.current().migrate()


@app.lambda_function(name="admin")
def admin(event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Make, list and end keys, and tell how the service fares."""
    return runtime.current().admin.handle(event)
