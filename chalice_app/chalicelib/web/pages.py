"""Serves pages for people, and other texts that are the same for every client."""

from __future__ import annotations

import functools
import hashlib
import html
import http
from pathlib import Path
from typing import TYPE_CHECKING, cast

from chalice.app import NotFoundError, Response

from chalicelib.web import etags
from chalicelib.web.answers import Headers, root

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Chalice, Request

FOLDER = Path(__file__).parents[1] / "static"

#: What a page may do: run and load what this service serves, call this service, and no more.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(app: Chalice, media_type: str) -> Callable[[Callable[..., str]], Callable[..., Response]]:
    """Let a view take the path of the API's root and return a text; no key is asked for.

    The root is what comes before the route's own path: a stage's prefix, or nothing. What is
    variable in that path follows. A client that has the text already gets 304.
    """

    def decorate(view: Callable[..., str]) -> Callable[..., Response]:
        @functools.wraps(view)
        def answer(**variables: str) -> Response:
            request = cast("Request", app.current_request)
            return _answer(request, view(root(request), **variables), media_type)

        answer.media_type = media_type  # type: ignore[attr-defined]
        return answer

    return decorate


@functools.cache
def file(name: str) -> str:
    """Return the file ``name`` of the folder ``static``."""
    return (FOLDER / name).read_text(encoding="utf-8")


@functools.cache
def scripts() -> tuple[str, ...]:
    """Return the names of the scripts of the page at ``/``."""
    return tuple(sorted(path.name for path in (FOLDER / "page").glob("*.js")))


def script(name: str) -> str:
    """Return one of them; raises Chalice's NotFoundError for a name that is none of theirs."""
    if name not in scripts():
        raise NotFoundError("There is no such script.")
    return file(f"page/{name}")


def html_file(name: str, root: str) -> str:
    """Return an HTML file, in which ``{root}`` stands for the path of the API's root."""
    return file(name).replace("{root}", html.escape(root))


def _answer(request: Request, text: str, media_type: str) -> Response:
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers: Headers = {
        "Cache-Control": "no-cache",  # keep it, but ask each time: what is deployed may change
        "Content-Security-Policy": POLICY,
        "ETag": tag,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    if etags.names(request.headers.get("if-none-match"), tag):
        return Response("", status_code=http.HTTPStatus.NOT_MODIFIED, headers=headers)
    headers["Content-Type"] = f"{media_type}; charset=utf-8"
    return Response(text, headers=headers)
