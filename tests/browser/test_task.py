"""A task's page: its numbers, how far it is, and where it leads to."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visit import post, see
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.visit import Visit
    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

#: 2^53 + 1, which JavaScript rounds; and what it takes for infinite.
ODD, VAST = "9007199254740993", "1e400"
TRACE = "1-5759e988-bd862e3fe1be46a994272793"


def test_a_number_is_sent_as_it_is_written_and_shown_as_it_was_sent(
    visit: Callable[..., Visit],
) -> None:
    visitor = visit("#/new?kind=send_mail")
    page = visitor.page
    page.get_by_label("Title").fill("Odd")
    page.get_by_label("A JSON object").fill(f'{{"a": {ODD}, "b": 1.50}}')
    page.get_by_role("button", name="Create the task").click()
    page.wait_for_url(re.compile(r"#/tasks/\d+$"))
    assert f'{{"a":{ODD},"b":1.50}}' in visitor.asked("/tasks")[0].post_data
    see(page, "Why it failed")
    payload = page.get_by_role("region", name="Payload")
    assert payload.inner_text() == f'{{\n  "a": {ODD},\n  "b": 1.5\n}}'


def test_numbers_beyond_javascripts_are_shown_wherever_a_task_has_them(
    shop: Stack, visit: Callable[..., Visit]
) -> None:
    number = post(shop, "Vast", payload={"a": "HERE"}, delay_seconds=3600)
    page = visit("docs/viewer.js").page

    def vast(route: Any) -> None:
        answer = route.fetch()
        told = answer.json() | {"result": ["HERE"], "error": {"code": "HERE"}}
        route.fulfill(response=answer, body=json.dumps(told).replace('"HERE"', f"[-{ODD}, {VAST}]"))

    page.route(f"**/tasks/{number}", vast)
    page.goto(f"{page.url.removesuffix('docs/viewer.js')}#/tasks/{number}")
    for name in ("Payload", "Result", "The last error"):
        shown = page.get_by_role("region", name=name).inner_text()
        assert [f"-{ODD},", VAST, "]"] == shown.split()[-4:-1]


def test_progress_is_a_bar_with_its_note_that_moves_by_itself(
    shop: Stack, visit: Callable[..., Visit]
) -> None:
    number = post(shop, "Slowly", kind="resize_photo", payload={"seconds": 60})
    page = visit(f"#/tasks/{number}").page
    bar = page.get_by_role("progressbar", name="Progress")
    bar.wait_for()
    begun = bar.evaluate("one => one.value")
    page.wait_for_function("begun => document.querySelector('progress').value > begun", arg=begun)
    told = page.locator(".progress").inner_text()
    assert re.search(r"^\s*\d+ % . tile \d+ of 300$", told)
    shop.call("POST", f"/tasks/{number}/cancel")
    page.locator(".under .badge.cancelled").wait_for()


def test_without_progress_there_is_no_bar(shop: Stack, visit: Callable[..., Visit]) -> None:
    number = post(shop, "Untold", delay_seconds=3600)
    page = visit(f"#/tasks/{number}").page
    see(page, "Waits for its time")
    assert page.get_by_role("progressbar").count() == 0


@pytest.fixture
def traced(shop: Stack) -> int:
    """A task whose latest attempt has a trace."""
    table = Table(shop.environ()["DATABASE_URL"])
    number = table.arrange("completed", trace_id=TRACE)
    table.close()
    return number


def test_in_aws_a_trace_leads_to_cloudwatch(
    traced: int, shop: Stack, visit_to: Callable[..., Visit]
) -> None:
    page = visit_to(shop, "docs/viewer.js").page
    address = "https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#xray:traces/"

    def in_aws(route: Any) -> None:
        answer = route.fetch()
        text = answer.text().replace('data-traces=""', f'data-traces="{address}"')
        route.fulfill(response=answer, body=text)

    root = page.url.removesuffix("docs/viewer.js")
    page.route(root, in_aws)
    page.goto(f"{root}#/tasks/{traced}")
    trace = page.get_by_role("link", name=TRACE).first
    assert trace.get_attribute("href") == address + TRACE
    assert trace.get_attribute("rel") == "noopener noreferrer"


def test_elsewhere_a_trace_is_a_text_that_can_be_copied(
    traced: int, visit: Callable[..., Visit]
) -> None:
    visitor = visit(f"#/tasks/{traced}")
    page = visitor.page
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    trace = page.locator(".facts .trace")
    trace.get_by_role("button", name="Copy").click()
    see(page, "Copied")
    assert page.evaluate("navigator.clipboard.readText()") == TRACE
    assert page.get_by_role("link", name=TRACE).count() == 0
