"""Tells what each route was declared with."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.schemas import Created, TaskView

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Chalice
    from pydantic import BaseModel

    from chalicelib.web.endpoint import Operation


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path, and its view."""

    path: str
    method: str
    view: Callable[..., Any]

    @property
    def name(self) -> str:
        """The view's name."""
        return self.view.__name__

    @property
    def operation(self) -> Operation | None:
        """What ``web.endpoint`` was told; None for a page."""
        return getattr(self.view, "operation", None)

    @property
    def media_type(self) -> str:
        """Of what is shown."""
        return getattr(self.view, "media_type", "application/json")

    @property
    def answers(self) -> Any:
        """The model that the view returns; None where there is nothing to show."""
        view = inspect.unwrap(self.view)
        return view.__globals__.get(view.__annotations__["return"])

    @property
    def shows(self) -> type[BaseModel] | None:
        """The model of what clients see."""
        return TaskView if self.answers is Created else self.answers

    @property
    def of_one_task(self) -> bool:
        """Whether the path names a task."""
        return "{task_id}" in self.path

    @property
    def of_one_schedule(self) -> bool:
        """Whether the path names a schedule."""
        return "{schedule_id}" in self.path

    @property
    def of_one_kind(self) -> bool:
        """Whether the path names a kind."""
        return "{kind}" in self.path

    @property
    def has_body(self) -> bool:
        """Whether the request has one."""
        return self.method != "GET" and self.operation is not None and bool(self.operation.takes)


def routes_of(app: Chalice) -> list[Route]:
    """Return every route of ``app``, in the order in which they were declared."""
    return [
        Route(path, method, entry.view_function)
        for path, methods in app.routes.items()
        for method, entry in methods.items()
    ]
