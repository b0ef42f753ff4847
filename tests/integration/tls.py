"""TLS in front of a PostgreSQL that has none, and certificates made by openssl."""

from __future__ import annotations

import contextlib
import selectors
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL's, before anything else
_DAYS = "2"


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_authority(folder: Path, name: str) -> Path:
    """Make a certificate authority and return its certificate."""
    subject = ["-subj", f"/CN={name}", "-days", _DAYS]
    files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files)
    return folder / f"{name}.pem"


def make_certificate(folder: Path, authority: str, host: str) -> tuple[Path, Path]:
    """Have the authority sign a certificate for ``host``; return it and its key."""
    request = ["-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={host}"]
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", *request)
    (folder / "extensions").write_text(f"subjectAltName=DNS:{host}\n")
    signer = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial"]
    files = ["-in", "server.csr", "-out", "server.pem", "-extfile", "extensions"]
    openssl(folder, "x509", "-req", *files, *signer, "-days", _DAYS)
    return folder / "server.pem", folder / "server.key"


class _Door(socketserver.BaseRequestHandler):
    server: Any

    def handle(self) -> None:
        if self.request.recv(8) != SSL_REQUEST:
            self.server.plain += 1  # whoever speaks without TLS is not let in
            return
        self.request.sendall(b"S")
        with contextlib.suppress(OSError):  # a client that does not trust us is gone
            inside = self.server.context.wrap_socket(self.request, server_side=True)
            with contextlib.closing(inside), socket.create_connection(self.server.behind) as far:
                _pass_on(inside, far)


def _pass_on(near: ssl.SSLSocket, far: socket.socket) -> None:
    with selectors.DefaultSelector() as ready:
        ready.register(near, selectors.EVENT_READ, far)
        ready.register(far, selectors.EVENT_READ, near)
        while True:
            for key, _ in ready.select():
                source: Any = key.fileobj
                chunk = source.recv(65536)
                while source is near and near.pending():
                    chunk += near.recv(near.pending())
                if not chunk:
                    return
                key.data.sendall(chunk)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    plain = 0


@contextlib.contextmanager
def tls_in_front_of(behind: tuple[str, int], certificate: Path, key: Path) -> Iterator[_Server]:
    """Serve TLS on a port of 127.0.0.1 and pass on what is said to the server behind."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with _Server(("127.0.0.1", 0), _Door) as server:
        vars(server).update(context=context, behind=behind)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
