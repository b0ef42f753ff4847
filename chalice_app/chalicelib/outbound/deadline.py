"""What is asked of the network ends at a deadline, a moment of ``time.monotonic``."""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def left(deadline: float) -> float:
    """Return the seconds that are left; raises TimeoutError if there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def within(deadline: float, lookup: Callable[..., Any], *asked: Any, **how: Any) -> Any:
    """Return what a lookup of a name returns, and raise what it raises; TimeoutError if late.

    The system's cannot be interrupted. At the deadline its thread is given up: it ends by itself
    when the system does, and holds up nobody, not even the end of the process.
    """
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put((lookup(*asked, **how), None))
        except BaseException as error:  # noqa: BLE001  (raised where it is waited for)
            found.put((None, error))

    threading.Thread(target=ask, name="lookup", daemon=True).start()
    try:
        answer, error = found.get(timeout=left(deadline))
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return answer


def connect(addresses: Iterable[str], port: int, deadline: float) -> socket.socket:
    """Return a connection to the first address that takes one; raises OSError if none does."""
    failed: OSError = OSError("no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), left(deadline))
        except OSError as error:
            failed = error
    raise failed


@contextmanager
def cut(near: socket.socket, deadline: float) -> Iterator[None]:
    """Break a connection off at the deadline, whatever is made of its socket meanwhile."""
    # One of its own: TLS takes the other's descriptor away.
    with near.dup() as line:

        def break_off() -> None:
            with suppress(OSError):  # it may be broken already
                line.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(left(deadline), break_off)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # else it might shut what has the descriptor next
