"""A task service in this process: the HTTP contract, a clock that jumps, and faults to order."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

FINAL = {"completed", "failed", "cancelled"}
CREATED = "2026-11-24T02:50:47.034055Z"
Answer = httpx.Response


class Lost(Exception):
    """The request was carried out and its answer is lost."""


class FakeService:
    """``faults`` are met one by one: called with the request, they answer, raise or return None."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []
        self.rows: dict[int, dict[str, Any]] = {}
        self.requests: list[httpx.Request] = []
        self.faults: deque[Callable[[httpx.Request], Answer | None]] = deque()
        self.events: list[tuple[float, int, dict[str, Any]]] = []
        self.holds = True
        self.etags = True
        self.retry_after: str | None = None
        self.transport = httpx.MockTransport(self._answer)
        self._keys: dict[str, tuple[bytes, Answer]] = {}

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self._advance(self.now + seconds)

    def add(self, *statuses: str, **more: Any) -> list[int]:
        """Store a task for each status."""
        return [self._store({"title": "a task", **more}, status)["id"] for status in statuses]

    def at(self, seconds: float, task_id: int, **changes: Any) -> None:
        """Let a task change so many seconds from now."""
        self.events.append((self.now + seconds, task_id, changes))
        self.events.sort(key=lambda event: event[0])

    def asked(self) -> list[str]:
        """Every request that came, as ``METHOD /path``."""
        return [f"{request.method} {request.url.path}" for request in self.requests]

    def sent(self, name: str) -> list[str | None]:
        """A header of every request that came."""
        return [request.headers.get(name) for request in self.requests]

    def _answer(self, request: httpx.Request) -> Answer:
        request.read()
        self.requests.append(request)
        fault = self.faults.popleft() if self.faults else None
        try:
            early = fault(request) if fault else None
        except Lost:
            self._serve(request)
            raise httpx.ReadError("the connection broke", request=request) from None
        return early or self._serve(request)

    def _serve(self, request: httpx.Request) -> Answer:
        key = request.headers.get("Idempotency-Key")
        if key in self._keys:
            body, answer = self._keys[key]
            if body != request.content:
                return problem(422, "key-reused")
            answer.headers["Idempotency-Replayed"] = "true"
            return answer
        answer = self._route(request)
        if key and answer.is_success:
            self._keys[key] = (request.content, answer)
        return answer

    def _route(self, request: httpx.Request) -> Answer:
        path = request.url.path
        if not path.startswith("/prod/tasks"):
            return problem(404, "about:blank")
        whole = {
            "POST /prod/tasks": self._create,
            "POST /prod/tasks/batch": self._create_batch,
            "POST /prod/tasks/retry": self._retry_many,
            "GET /prod/tasks": self._list,
        }
        if call := whole.get(f"{request.method} {path}"):
            return call(request)
        number, *rest = path.removeprefix("/prod/tasks/").split("/")
        row = self.rows.get(int(number))
        return self._act(request, rest, row) if row else problem(404, "task-not-found")

    def _act(self, request: httpx.Request, rest: list[str], row: dict[str, Any]) -> Answer:
        final = row["status"] in FINAL
        match request.method, rest:
            case "GET", []:
                return self._show(request, row)
            case "GET", ["attempts"]:
                return Answer(200, json={"items": row["tries"]})
            case "POST", ["cancel"] if not final:
                row["status"] = "cancelled"
            case "POST", ["retry"] if row["status"] in {"failed", "cancelled"}:
                row["status"] = "pending"
                row["attempt_limit"] += 3
            case "PATCH", []:
                if request.headers.get("If-Match", self._etag(row)) != self._etag(row):
                    return problem(412, "task-changed")
                row |= json.loads(request.content)
            case "DELETE", [] if final:
                del self.rows[row["id"]]
                return Answer(204)
            case _:
                return problem(409, "illegal-move", current=row["status"])
        return self._shown(row)

    def _create(self, request: httpx.Request) -> Answer:
        new = json.loads(request.content)
        if not new["title"].strip():
            return problem(422, "invalid-request", errors=[{"pointer": "#/title", "detail": "!"}])
        for row in self.rows.values():
            if new.get("unique_key") and row.get("unique_key") == new["unique_key"]:
                return self._shown(row)
        row = self._store(new)
        self._hold(request, lambda: row["status"] in FINAL)
        return self._shown(row, 201)

    def _create_batch(self, request: httpx.Request) -> Answer:
        items = [self._store(new) for new in json.loads(request.content)["tasks"]]
        return Answer(201, json={"items": items})

    def _store(self, new: dict[str, Any], status: str = "pending") -> dict[str, Any]:
        number = max(self.rows, default=0) + 1
        row = {"kind": "default", "attempt": 0, "attempt_limit": 3, "created_at": CREATED}
        row |= {"result": None, "error": None, "tries": [], "tags": []}
        self.rows[number] = {"id": number, **row, **new, "status": status}
        return self.rows[number]

    def _show(self, request: httpx.Request, row: dict[str, Any]) -> Answer:
        known = request.headers.get("If-None-Match")

        def ready() -> bool:
            return row["status"] in FINAL or (known is not None and known != self._etag(row))

        self._hold(request, ready)
        return Answer(304) if known == self._etag(row) else self._shown(row)

    def _shown(self, row: dict[str, Any], status: int = 200) -> Answer:
        headers = {"ETag": self._etag(row)} if self.etags else {}
        if self.retry_after and row["status"] not in FINAL:
            headers["Retry-After"] = self.retry_after
        return Answer(status, json=row, headers=headers)

    def _list(self, request: httpx.Request) -> Answer:
        params = request.url.params
        before = float(params.get("cursor", "inf"))
        match = [
            row
            for row in sorted(self.rows.values(), key=lambda row: -row["id"])
            if row["id"] < before
            and params.get("status", row["status"]) == row["status"]
            and ("tag" not in params or params["tag"] in row["tags"])
        ]
        size = int(params.get("limit", 50))
        cursor = str(match[size - 1]["id"]) if len(match) > size else None
        return Answer(200, json={"items": match[:size], "next_cursor": cursor})

    def _retry_many(self, request: httpx.Request) -> Answer:
        asked = json.loads(request.content)
        wanted = [
            row
            for row in self.rows.values()
            if row["status"] == asked.get("status", "failed")
            and ("tag" not in asked or asked["tag"] in row["tags"])
        ]
        limit = asked.get("limit", 1000)
        wanted = [row for row in wanted if row["id"] > int(asked.get("cursor", 0))]
        for row in wanted[:limit]:
            row["status"] = "pending"
        ids = [row["id"] for row in wanted[:limit]]
        cursor = str(ids[-1]) if len(wanted) > limit else None
        return Answer(200, json={"ids": ids, "more": cursor is not None, "next_cursor": cursor})

    def _hold(self, request: httpx.Request, ready: Callable[[], bool]) -> None:
        seconds = int(request.headers.get("Prefer", "wait=0").removeprefix("wait="))
        until = self.now + (seconds if self.holds else 0)
        while not ready() and self.events and self.events[0][0] <= until:
            self._advance(self.events[0][0])
        if not ready():
            self._advance(until)

    def _advance(self, moment: float) -> None:
        while self.events and self.events[0][0] <= moment:
            _, task_id, changes = self.events.pop(0)
            self.rows[task_id] |= changes
        self.now = max(self.now, moment)

    def _etag(self, row: dict[str, Any]) -> str:
        return '"' + hashlib.sha256(json.dumps(row).encode()).hexdigest()[:16] + '"'


def problem(status: int, name: str, retry_after: str | None = None, **more: Any) -> Answer:
    known = name if ":" in name else f"urn:problem-type:tasks:{name}"
    content = {"type": known, "title": "A title.", "status": status, "detail": f"It is {name}."}
    headers = {"Content-Type": "application/problem+json"}
    if retry_after:
        headers["Retry-After"] = retry_after
    return Answer(status, json={**content, "request_id": "r-1", **more}, headers=headers)


def answers(status: int, retry_after: str | None = None) -> Callable[[httpx.Request], Answer]:
    """A fault: this status, before anything was done."""
    return lambda _: problem(status, "about:blank", retry_after)


def breaks(kind: type[httpx.TransportError]) -> Callable[[httpx.Request], Answer | None]:
    """A fault: the connection fails before anything was done."""

    def fault(request: httpx.Request) -> Answer | None:
        raise kind("it broke", request=request)

    return fault


def loses_the_answer(request: httpx.Request) -> Answer | None:
    """A fault: all is done, and the answer does not arrive."""
    raise Lost(request.method)
