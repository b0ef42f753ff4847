"""The local HTTP server in a process of its own, and clients that do not behave."""

from __future__ import annotations

import os
import socket
import time

from localdev import processes
from localdev.processes import HOST, listen, start_python


class Server:
    """The local HTTP server in a process of its own."""

    def __init__(self, url: str) -> None:
        environ = {**os.environ, "DATABASE_URL": url, "AUTH": "off"}
        with listen() as listener:
            self.port = int(listener.getsockname()[1])
            number = listener.fileno()
            self.process = start_python(
                "localdev.http_server", str(number), environ=environ, pass_fds=[number]
            )
        processes.tell(self.process, "go")

    def half_open(self, request: bytes) -> socket.socket:
        connection = socket.create_connection((HOST, self.port))
        connection.sendall(request)
        return connection

    def get(self, path: str) -> tuple[int, float]:
        """Return the status and the seconds it took."""
        began = time.monotonic()
        connection = self.half_open(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with connection:
            connection.settimeout(30)
            status = int(connection.recv(65536).split()[1])
        return status, time.monotonic() - began

    def close(self) -> None:
        processes.stop(self.process, 9, 5)
