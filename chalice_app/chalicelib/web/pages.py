"""Serves pages for people, and other texts that are the same for every client."""

from __future__ import annotations

import functools
import hashlib
import html
import http
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from chalice.app import Response

from chalicelib import settings
from chalicelib.web import etags
from chalicelib.web.answers import Headers, root
from chalicelib.web.joined import joined

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Chalice, Request

FOLDER = Path(__file__).parents[1] / "static"

#: What a page may do: run and load what this service serves, call this service, and no more.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


#: The console's hosts in partitions of their own, by how the names of their regions begin.
_CONSOLES = {
    "cn-": "console.amazonaws.cn",
    "us-gov-": "console.amazonaws-us-gov.com",
}


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
def script() -> str:
    """Return the script of the page at ``/``: the modules of its folder, joined."""
    modules = (FOLDER / "page").glob("*.js")
    return joined({path.stem: path.read_text(encoding="utf-8") for path in modules})


def html_file(name: str, root: str) -> str:
    """Return an HTML file, in which ``{root}`` stands for the path of the API's root.

    ``{traces}`` stands for the address that the id of a trace is put after, or for nothing where
    this service does not run in AWS.
    """
    text = file(name).replace("{traces}", html.escape(traces_address(settings.region_in_aws())))
    return text.replace("{root}", html.escape(root))


def traces_address(region: str) -> str:
    """Return the address, in CloudWatch's console, of the traces of a region; of none, nothing.

    Source: the form in which the console has it; AWS documents the hosts, not what follows.
    """
    if not region:
        return ""
    partition = next((known for known in _CONSOLES if region.startswith(known)), "")
    host = _CONSOLES.get(partition, "console.aws.amazon.com")
    return f"https://{host}/cloudwatch/home?region={quote(region)}#xray:traces/"


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
