"""One visitor: a browser of their own, and what it heard and asked."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from chalicelib.access import new_key
from chalicelib.db import Database
from chalicelib.store import KeyStore
from tests.e2e.stack import eventually

if TYPE_CHECKING:
    from tests.e2e.stack import Stack

#: Answers that the page asked for and shows are still errors to the browser's console.
EXPECTED = "Failed to load resource"


class Visit:
    """A page, its ``requests``, and the lines on its ``console``."""

    def __init__(self, chromium: Any, stack: Stack, **options: Any) -> None:
        self.url = f"http://127.0.0.1:{stack.port}/"
        self.stack = stack
        options = {"viewport": {"width": 1280, "height": 900}} | options
        self.context = chromium.new_context(**options)
        self.context.set_default_timeout(20_000)
        self.requests: list[Any] = []
        self.console: list[str] = []
        self.page = self.tab()

    def tab(self) -> Any:
        """Open another tab."""
        page = self.context.new_page()
        page.on("request", lambda one: self.requests.append(one))  # noqa: PLW0108  (it is marked)
        page.on("console", lambda line: self.console.append(line.text))
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.console.append(f"dialog: {dialog.message}"))
        return page

    def open(self, path: str = "") -> None:
        self.page.goto(f"{self.url}{path}")

    def heading(self) -> str:
        return str(self.page.locator("h1").inner_text())

    def asked(self, path: str) -> list[Any]:
        """Return the requests for a path."""
        return [one for one in self.requests if urlsplit(one.url).path == path]

    def close(self) -> list[str]:
        """Close it; return what should not have been said, and who else was asked."""
        for page in self.context.pages:
            # A request that the page makes just now may still be with a test's own answer to it.
            page.unroute_all(behavior="ignoreErrors")
        self.context.close()
        strangers = {one.url for one in self.requests if not one.url.startswith(self.url)}
        told = [line for line in self.console if not line.startswith(EXPECTED)]
        return told + [f"asked {url}" for url in strangers if not url.startswith("data:")]


def see(page: Any, text: str) -> None:
    """Wait until a text can be seen; pictures say it too, to those who cannot see them."""
    page.get_by_text(text).locator("visible=true").first.wait_for()


def rows(page: Any, count: int) -> None:
    """Wait until the list has so many rows."""
    from playwright.sync_api import expect

    expect(page.locator(".tasks tbody tr")).to_have_count(count, timeout=20_000)


def focused(found: Any) -> None:
    """Wait until an element has the focus."""
    from playwright.sync_api import expect

    expect(found).to_be_focused()


def described(found: Any, words: str) -> None:
    """Wait until a screen reader says such words with an element, after its name."""
    from playwright.sync_api import expect

    expect(found).to_have_accessible_description(re.compile(words))


def serious(page: Any) -> list[Any]:
    """Return what axe finds that keeps somebody out: the rule, and who breaks it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]


def post(stack: Stack, title: str, **fields: Any) -> int:
    """Create a task and return its id."""
    status, task = stack.call("POST", "/tasks", {"title": title} | fields)
    assert status == 201, task
    return int(task["id"])


def settled(stack: Stack, task_id: int) -> dict[str, Any]:
    """Return a task once it is finished."""

    def final() -> Any:
        task = stack.task(task_id)
        return task["status"] in {"completed", "failed", "cancelled"} and task

    return dict(eventually(final, 60))


def seed(stack: Stack) -> None:
    """Create tasks of every sort."""
    tasks: list[dict[str, Any]] = [
        {
            "title": f"Import order {1000 + number}",
            "kind": "import_order",
            "payload": {"number": 1000 + number},
            "tags": ["shop", "nightly"],
        }
        for number in range(60)
    ]
    tasks += [{"title": f"Send the invoice {n}", "kind": "send_mail"} for n in range(3)]
    tasks += [{"title": "Much later", "delay_seconds": 86400, "tags": ["later"]}]
    status, made = stack.call("POST", "/tasks/batch", {"tasks": tasks})
    assert status == 201, made
    for task in made["items"][:-1]:
        settled(stack, task["id"])


def key_for(stack: Stack, *scopes: Any, tenant: str = "default") -> str:
    """Make a key of a stack that asks for them."""
    database, key = Database(stack.environ()["DATABASE_URL"]), new_key()
    KeyStore(database.query).insert_key(
        key, tenant=tenant, name="a visitor's", scopes=scopes or ("admin",), lifetime=None
    )
    database.close()
    return key.text


def refusal(status: int, detail: str, **headers: str) -> dict[str, Any]:
    """Return what a route is to be fulfilled with, to refuse a request."""
    body = {"type": "about:blank", "title": "Refused", "status": status, "detail": detail}
    return {
        "status": status,
        "headers": {"Content-Type": "application/problem+json"} | headers,
        "body": json.dumps(body | {"request_id": "request-1", "instance": "/"}),
    }
