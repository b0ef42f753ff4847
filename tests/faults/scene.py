"""The whole service with a mapping and a clock in the test's hand, and faults in between."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from chalicelib.errors import BatchPartiallyFailed
from tests.fakes import FakeContext
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.test import Client, HTTPResponse

    from chalicelib.registry import Context, Registry
    from chalicelib.runtime import Runtime
    from chalicelib.task import Task
    from tests.faults.lines import Line

#: A day later: whatever has a time is due, and nobody's lease is left.
_LATER = """
update tasks
   set lease_until = lease_until - interval '1 day', run_at = run_at - interval '1 day',
       dispatch_after = case when isfinite(dispatch_after) then dispatch_after - interval '1 day'
                             else dispatch_after end
 where status in ('pending', 'processing', 'retrying')
"""

WITNESS = """
create table moves (task_id bigint, old_status text, new_status text, result jsonb);
create function witness_move() returns trigger language plpgsql as $$
begin
    insert into moves values (old.id, old.status, new.status, new.result);
    return null;
end $$;
create trigger witness after update on tasks for each row
    when ((old.status, old.result) is distinct from (new.status, new.result))
    execute function witness_move();
"""


class Scene:
    """One running service.

    ``url`` is the way to the database that no fault lies on. What clients were told to be taken
    is in ``acknowledged``; what handlers began is in ``runs``, an entry each time.
    """

    def __init__(
        self, made: Runtime, registry: Registry, client: Client, line: Line, url: str
    ) -> None:
        self.runtime = made
        self.registry = registry
        self.client = client
        self.line = line
        self.url = url
        self.table = Table(url)
        self.acknowledged: set[int] = set()
        self.runs: list[int] = []
        self.invoke: Callable[[dict[str, Any]], Any] = self._invoke_here
        #: Whether the mapping reads the answer, as with ReportBatchItemFailures.
        self.reports = True
        registry.handler("default")(self._note_run)

    def post(self, **fields: Any) -> HTTPResponse:
        """Post a task as a client would, and remember it if it was taken."""
        body = json.dumps({"title": "a title"} | fields).encode()
        headers = {"Content-Type": "application/json"}
        response = self.client.http.request("POST", "/tasks", headers=headers, body=body)
        if response.status_code == 201:
            self.acknowledged.add(json.loads(response.body)["id"])
        return response

    def posted(self, **fields: Any) -> int:
        """Post a task that is taken and return its id."""
        response = self.post(**fields)
        assert response.status_code == 201, response.body
        number: int = json.loads(response.body)["id"]
        return number

    def deliver(self) -> list[dict[str, Any]]:
        """Do as the mapping does: receive, invoke, delete what is not to be kept."""
        records = self.line.receive()
        if records:
            self.hand_over(records)
        return records

    def hand_over(self, records: list[dict[str, Any]]) -> None:
        """Invoke the worker with these records, and delete what it is done with."""
        try:
            answer = self.invoke({"Records": records})
        except BatchPartiallyFailed:
            return  # as for any exception, nothing is deleted
        kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        if not self.reports:
            kept = set()
        self.line.delete([record for record in records if record["messageId"] not in kept])

    def deliver_all(self) -> None:
        while self.deliver():
            pass

    def sweep(self, *, queue_lost: bool = False) -> dict[str, int]:
        return self.runtime.sweep({"detail": {"queue_lost": queue_lost}}, FakeContext())

    def pass_time(self) -> None:
        """Let a day pass, for the rows and for the messages."""
        self.table.run(_LATER)
        self.line.hurry()

    def later(self) -> None:
        """Let a day pass, and in it the sweeper and the worker do all that they can."""
        self.pass_time()
        self.sweep()
        self.deliver_all()

    def assert_refusing(self) -> None:
        """Check that clients are told to come back, and that the worker keeps its batch."""
        response = self.post()
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        before = self.line.left()
        self.deliver()
        assert self.line.left() == before

    def end_sessions(self) -> None:
        """Terminate every session of the service, and wait until it is over."""
        self.table.run(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and application_name = 'chalice-tasks'"
        )

    def reconnect(self) -> None:
        """Take a new connection to the table, the old one broke."""
        self.table.close()
        self.table = Table(self.url)

    def close(self) -> None:
        self.runtime.database.close()
        self.table.close()

    def _invoke_here(self, event: dict[str, Any]) -> Any:
        return self.runtime.work(event, FakeContext())

    def _note_run(self, task: Task, context: Context) -> dict[str, int]:  # noqa: ARG002
        self.runs.append(task.id)
        return {"attempt": task.attempts_spent}


def in_thread(action: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread
