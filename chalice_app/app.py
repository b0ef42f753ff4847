"""The front door: HTTP routes, the queue worker, the sweeper and the migrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalice.app import Chalice, Rate

from chalicelib import chalice_cli, pages, runtime, web
from chalicelib.schemas import Health, ListQuery, NewTask, TaskPage, TaskView
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from chalice.app import CloudWatchEvent, Request, Response, SQSEvent

chalice_cli.mend()
settings = Settings.from_env()
app = Chalice(app_name="tasks", configure_logs=False)
app.register_middleware(web.plain_errors_as_problems, "http")


@app.route("/tasks", methods=["POST"], content_types=["*/*"])
@web.endpoint(app, status=201)
def create_task(request: Request) -> TaskView:
    """Store a task and queue it."""
    return runtime.current().service.create(web.body(request, NewTask))


@app.route("/tasks", methods=["GET"])
@web.endpoint(app)
def list_tasks(request: Request) -> TaskPage:
    """List tasks, newest first."""
    return runtime.current().service.list(web.query(request, ListQuery))


@app.route("/tasks/{task_id}", methods=["GET"])
@web.endpoint(app)
def get_task(request: Request, task_id: str) -> TaskView:  # noqa: ARG001
    """Show one task."""
    return runtime.current().service.get(web.task_id(task_id))


@app.route("/tasks/{task_id}/cancel", methods=["POST"], content_types=["*/*"])
@web.endpoint(app)
def cancel_task(request: Request, task_id: str) -> TaskView:  # noqa: ARG001
    """Cancel a waiting task, or ask the worker of a running one to stop."""
    return runtime.current().service.cancel(web.task_id(task_id))


@app.route("/tasks/{task_id}/retry", methods=["POST"], content_types=["*/*"])
@web.endpoint(app)
def retry_task(request: Request, task_id: str) -> TaskView:  # noqa: ARG001
    """Give a failed or cancelled task new attempts."""
    return runtime.current().service.retry(web.task_id(task_id))


@app.route("/tasks/{task_id}", methods=["DELETE"])
@web.endpoint(app)
def delete_task(request: Request, task_id: str) -> None:  # noqa: ARG001
    """Delete a finished task."""
    runtime.current().service.delete(web.task_id(task_id))


@app.route("/healthz", methods=["GET"])
@web.endpoint(app)
def healthz(request: Request) -> Health:  # noqa: ARG001
    """Say that the code answers; nothing behind it is asked."""
    return Health()


@app.route("/readyz", methods=["GET"])
@web.endpoint(app)
def readyz(request: Request) -> Health:  # noqa: ARG001
    """Say that tasks can be taken: the database answers and its schema is new enough."""
    return runtime.current().readiness()


@app.route("/docs", methods=["GET"])
def docs() -> Response:
    """Show the API's description as a page on which it can be tried."""
    return pages.page(app, "docs/index.html")


@app.route("/docs/viewer.js", methods=["GET"])
def docs_viewer() -> Response:
    """Show the script of that page."""
    return pages.page(app, "docs/viewer.js")


@app.route("/docs/openapi-explorer.min.js", methods=["GET"])
def docs_library() -> Response:
    """Show the library that the page is drawn with."""
    return pages.page(app, "docs/openapi-explorer.min.js")


@app.on_sqs_message(
    queue=settings.queue_name,
    batch_size=settings.batch_size,
    maximum_batching_window_in_seconds=settings.batch_window,
    maximum_concurrency=settings.maximum_concurrency,
    name="worker",
)
def work(event: SQSEvent) -> dict[str, Any]:
    """Work a batch of messages."""
    return runtime.current().work(event.to_dict(), event.context)


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweeper")
def sweep(event: CloudWatchEvent) -> dict[str, int]:
    """Do what should have happened by now."""
    return runtime.current().sweep(event.to_dict(), event.context)


@app.lambda_function(name="migrate")
def migrate(event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Bring the database's schema up to date."""
    return runtime.current().migrate()
