"""The process behind SqsServer: moto's SQS, made fast and safe for many threads."""

from __future__ import annotations

import copy
import functools
import io
import os
import signal
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from moto.sqs import models as typed_models
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from localdev.processes import HOST, follow_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# moto changes its lists of messages without a lock; two receives at once would hand out the
# same message, and a send during a delete would be lost.
_lock = threading.RLock()
_LOOK_AGAIN = 0.2  # seconds
_call = threading.local()  # sending, receiving: what this thread is about
_holders: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
models: Any = typed_models


class QuietHandler(MotoRequestHandler):
    """Keeps connections open, sends each reply in one write and logs no requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def run_wsgi(self) -> None:
        """Answer one request, and leave the connection open for the next.

        werkzeug's own way would close it, and read from it for 10 ms before that.
        """
        environ = self.make_environ()
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True  # how much of it was read is not known
        else:
            length = int(self.headers.get("Content-Length") or 0)
            environ["wsgi.input"] = io.BytesIO(self.rfile.read(length))
        answer = Response.from_app(self.server.app, environ, buffered=True)
        body = answer.get_data()
        self.send_response(answer.status_code)
        answer.headers["Content-Length"] = str(len(body))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""

    def log_error(self, *args: object) -> None:
        """Log nothing: a client that goes away is no error here."""


def main() -> None:
    """Serve on the listening socket whose descriptor is the first argument."""
    follow_parent()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    mend()
    app = create_backend_app("sqs")
    make_server(
        HOST, 0, app, threaded=True, request_handler=QuietHandler, fd=int(sys.argv[1])
    ).serve_forever()


def mend() -> None:
    """Replace what is slow, unsafe or lacking in moto's queue, leaving what it does as it is."""
    models.unix_time = _now
    models.unix_time_millis = lambda _=None: time.time() * 1000
    models.Message.__deepcopy__ = _copy_message
    backend = models.SQSBackend
    backend.is_message_valid_based_on_retention_period = _is_retained
    backend.send_message = _about("sending", backend.send_message)
    backend.send_message_batch = _with_system_attributes(backend.send_message_batch)
    models.Queue.attributes = _attributes(models.Queue.attributes)
    models.Queue.messages = _messages(models.Queue.messages)
    models.Message.mark_received = _mark_received(models.Message.mark_received)
    backend.receive_message = _receive(_about("receiving", backend.receive_message))
    models.Queue.delete_message = _delete
    for owner, names in (
        (models.Queue, ("add_message", "delete_message")),
        (backend, ("change_message_visibility", "get_queue_attributes", "purge_queue")),
    ):
        for name in names:
            setattr(owner, name, _locked(getattr(owner, name)))


def _now(_: object = None) -> float:
    return time.time()


def _locked(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _lock:
            return function(*args, **kwargs)

    return wrapper


def _copy_message(self: typed_models.Message, _: object) -> typed_models.Message:
    # A reply changes only the attributes of what it was given.
    new = copy.copy(self)
    new.message_attributes = dict(self.message_attributes)
    return new


def _is_retained(
    self: typed_models.SQSBackend, queue_name: str, message: typed_models.Message
) -> bool:
    # moto computes every attribute of the queue to learn this one, for each message.
    queue: Any = self.get_queue(queue_name)
    return bool(queue.message_retention_period + (message.sent_timestamp or 0) / 1000 > _now())


def _about(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        setattr(_call, what, True)
        try:
            return function(*args, **kwargs)
        finally:
            setattr(_call, what, False)

    return wrapper


def _with_system_attributes(send: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, queue_name: str, entries: dict[str, dict[str, Any]]) -> Any:
        # Of a batch moto forgets them. Nobody may receive a message before it has its own.
        told = {entry["Id"]: entry.get("MessageSystemAttributes") for entry in entries.values()}
        with _lock:
            messages, failed = send(self, queue_name, entries)
            for message in messages:
                message.system_attributes = told[message.user_id] or {}
        return messages, failed

    return wrapper


def _messages(messages: property) -> property:
    def wrapper(queue: typed_models.Queue) -> Any:
        # A receive takes the first few; it need not walk over a long backlog for them.
        return _visible(queue) if getattr(_call, "receiving", False) else messages.__get__(queue)

    return property(wrapper)


def _visible(queue: Any) -> Iterator[Any]:
    now = time.time() * 1000
    return (one for one in queue._messages if one.visible_at < now >= one.delayed_until)  # noqa: SLF001


def _mark_received(mark_received: Callable[..., None]) -> Callable[..., None]:
    def wrapper(message: Any, visibility_timeout: int | None = None) -> None:
        mark_received(message, visibility_timeout)
        _holders[message.receipt_handle] = message

    return wrapper


def _attributes(attributes: property) -> property:
    def wrapper(queue: typed_models.Queue) -> Any:
        # A send asks only for what FIFO queues have; the others' counts take a walk over all
        # messages.
        if getattr(_call, "sending", False) and not queue.fifo_queue:
            return {}
        return attributes.__get__(queue)

    return property(wrapper)


def _receive(receive: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(
        self: typed_models.SQSBackend,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> Any:
        deadline = time.monotonic() + (wait_seconds_timeout or 0)
        while True:
            with _lock:
                found = receive(
                    self, queue_name, count, 0, visibility_timeout, message_attribute_names
                )
            left = deadline - time.monotonic()
            if found or left <= 0:
                return found
            # Woken by a send; messages that become visible by time are found by looking again.
            queue: Any = self.get_queue(queue_name)
            queue.wait_for_messages(min(_LOOK_AGAIN, left))

    return wrapper


def _delete(self: typed_models.Queue, receipt_handle: str) -> None:
    message = _holders.get(receipt_handle)
    if message in self._messages:
        self._messages.remove(message)
        self.pending_messages.discard(message)
        self.deleted_messages.update(filter(None, message.all_receipt_handles))
    elif receipt_handle not in self.deleted_messages:
        raise models.ReceiptHandleIsInvalid


if __name__ == "__main__":
    main()
