"""Every route of the app, and a good request for each; a new route is in it by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import app as front_door
from chalicelib.schemas import (
    ListQuery,
    NewBatch,
    NewLimits,
    NewSchedule,
    NewTask,
    RetryMany,
    ScheduleChanges,
    ScheduleQuery,
    StatsQuery,
    TaskChanges,
)

if TYPE_CHECKING:
    from chalice.test import HTTPResponse

    from chalicelib.web import Operation
    from tests.integration.api import Api

#: What each model takes. A route that takes another one needs a line here.
GOOD: dict[type[Any] | None, Any] = {
    None: b"",
    ListQuery: b"",
    NewTask: {"title": "mine"},
    NewBatch: {"tasks": [{"title": "mine"}]},
    TaskChanges: {"title": "changed"},
    RetryMany: {},
    StatsQuery: b"",
    NewLimits: {"running": 5},
    NewSchedule: {"name": "mine", "cron": "* * * * *", "task": {"title": "mine"}},
    ScheduleChanges: {"paused": True},
    ScheduleQuery: b"",
}


#: What shows the same to everybody, and so asks for nothing.
PAGES = {
    "/",
    "/docs",
    "/docs/openapi-explorer.min.js",
    "/docs/viewer.js",
    "/openapi.json",
    "/page.css",
    "/page.js",
}


@dataclass(frozen=True)
class Route:
    """One method of one path, and what its view was declared with."""

    method: str
    path: str
    operation: Operation

    @property
    def names_a_task(self) -> bool:
        return "{task_id}" in self.path

    def send(self, api: Api, task_id: int, **headers: str) -> HTTPResponse:
        """Send a request with nothing wrong but, perhaps, who sends it."""
        takes = self.operation.takes
        assert takes in GOOD, f"tests/integration/routes.py needs a good {takes}"
        path = self.path.replace("{task_id}", str(task_id)).replace("{kind}", "default")
        path = path.replace("{schedule_id}", str(task_id))
        return api.call(self.method, path, GOOD[takes], Content_Type="application/json", **headers)


def _routes() -> dict[str, Route]:
    found = {}
    for path, methods in front_door.app.routes.items():
        for method, entry in methods.items():
            view: Any = entry.view_function
            if path not in PAGES:
                found[f"{method} {path}"] = Route(method, path, view.operation)
    return found


ROUTES = _routes()
#: Those that ask for a key.
GUARDED = {name: route for name, route in ROUTES.items() if route.operation.scope}
OF_A_TASK = {name: route for name, route in GUARDED.items() if route.names_a_task}
