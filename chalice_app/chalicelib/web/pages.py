"""Serves the pages that people read: for now the viewer of the API's description."""

from __future__ import annotations

import functools
import hashlib
import html
import http
from pathlib import Path
from typing import TYPE_CHECKING, cast

from chalice.app import Response

if TYPE_CHECKING:
    from chalice.app import Chalice, Request

FOLDER = Path(__file__).parents[1] / "static"

#: What a page may do: run and load what this service serves, call this service, and no more.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MEDIA_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


def page(app: Chalice, name: str) -> Response:
    """Answer with the file ``name`` of the folder ``static``, or 304 if the client has it already.

    ``{root}`` in an HTML file becomes the path of the API's root, so that the page finds its
    scripts below any stage's prefix, and also when its own address has a slash at its end.
    """
    request, text = cast("Request", app.current_request), _read(name)
    if name.endswith(".html"):
        text = text.replace("{root}", html.escape(_root(request)))
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers: dict[str, str | list[str]] = {
        "Cache-Control": "no-cache",  # keep it, but ask each time: what is deployed may change
        "Content-Security-Policy": POLICY,
        "Content-Type": MEDIA_TYPES[Path(name).suffix],
        "ETag": tag,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    if tag in request.headers.get("if-none-match", ""):
        return Response("", status_code=http.HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(text, headers=headers)


@functools.cache
def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _root(request: Request) -> str:
    # The path that was asked for has the stage's prefix; the route's own has not.
    whole = str(request.context.get("path", request.path)).rstrip("/")
    return whole.removesuffix(request.path)
