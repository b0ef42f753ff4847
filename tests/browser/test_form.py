"""The form for a new task."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visit import described, post, refusal, see

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.visit import Visit
    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def submit(page: Any) -> None:
    page.get_by_role("button", name="Create the task").click()


def created(visit: Visit) -> dict[str, Any]:
    """Return the task whose page is shown now."""
    visit.page.wait_for_url(re.compile(r"#/tasks/\d+$"))
    return visit.stack.task(int(visit.page.url.rsplit("/", 1)[1]))


def test_a_payload_is_filled_in_field_by_field(visit: Callable[..., Visit]) -> None:
    visitor = visit("#/new?kind=import_order")
    page = visitor.page
    page.get_by_label("Title").fill("Import an order")
    page.get_by_label("Number").fill("1007")
    page.get_by_label("Channel").select_option("phone")
    page.get_by_label("Weight").fill("2.5")
    for item in ("lamp", "chair"):
        page.get_by_role("button", name="Add one").click()
        page.keyboard.type(item)
    page.get_by_role("button", name="Fill it in").click()
    page.get_by_label("Street").fill("Main Street 1")
    page.get_by_label("City").fill("Springfield")
    page.get_by_label("Express").select_option("true")
    page.get_by_label("Extras").fill('{"stickers": 3}')
    page.get_by_text("More: tags").click()
    page.get_by_label("Tags").fill("shop, by-hand")
    submit(page)
    task = created(visitor)
    assert (task["title"], task["kind"], task["tags"]) == (
        "Import an order",
        "import_order",
        ["shop", "by-hand"],
    )
    assert task["payload"] == {
        "number": 1007,
        "channel": "phone",
        "weight": 2.5,
        "items": ["lamp", "chair"],
        "address": {"street": "Main Street 1", "city": "Springfield", "express": True},
        "extras": {"stickers": 3},
    }


def test_what_is_left_empty_is_not_sent(visit: Callable[..., Visit]) -> None:
    visitor = visit("#/new?kind=import_order")
    visitor.page.get_by_label("Title").fill("Import little")
    visitor.page.get_by_label("Number").fill("7")
    submit(visitor.page)
    assert created(visitor)["payload"] == {
        "number": 7,
        "channel": "web",
        "extras": {},
    }


def test_a_broken_rule_is_shown_at_its_field(visit: Callable[..., Visit]) -> None:
    page = visit("#/new?kind=import_order").page
    page.get_by_label("Title").fill("Import badly")
    page.get_by_label("Number").fill("none")
    page.get_by_role("button", name="Add one").click()
    page.get_by_role("button", name="Fill it in").click()
    page.get_by_label("City").fill("Springfield")
    page.get_by_text("More: tags").click()
    page.get_by_label("Tags").fill("a a")
    submit(page)
    wrong = page.locator(".wrong")
    wrong.first.wait_for()
    assert page.get_by_role("alert").count() == 1
    page.locator("[data-pointer='#/tags'] .wrong").wait_for()
    page.get_by_label("Tags").fill("a")
    submit(page)
    page.locator("[data-pointer='#/payload/number'] .wrong").wait_for()
    told = {
        str(one.evaluate("e => e.parentElement.dataset.pointer")): one.inner_text()
        for one in wrong.all()
    }
    assert told.keys() == {"#/payload/number", "#/payload/items/0", "#/payload/address/street"}
    assert told["#/payload/address/street"] == "is required"
    assert page.get_by_label("Number").get_attribute("aria-invalid") == "true"
    assert page.evaluate("document.activeElement === document.querySelector('[aria-invalid]')")


def test_a_broken_rule_is_read_out_with_its_field_until_it_is_mended(
    visit: Callable[..., Visit],
) -> None:
    page = visit("#/new?kind=import_order").page
    page.get_by_label("Title").fill("Import badly")
    number = page.get_by_label("Number")
    number.fill("none")
    page.get_by_role("button", name="Fill it in").click()
    submit(page)
    described(number, "^As printed on the invoice . at least 1 .*integer")
    described(page.get_by_label("Street"), "^is required$")
    number.fill("7")
    page.get_by_label("Street").fill("Main Street 1")
    submit(page)
    described(page.get_by_label("City"), "^is required$")
    described(page.get_by_label("Street"), "^$")
    described(number, "^As printed on the invoice . at least 1$")


def test_what_is_no_json_is_told_at_its_field_and_not_sent(visit: Callable[..., Visit]) -> None:
    visitor = visit("#/new?kind=send_mail")
    visitor.page.get_by_label("Title").fill("Send it")
    visitor.page.get_by_label("A JSON object").fill("{to: Ada}")
    submit(visitor.page)
    visitor.page.locator("[data-pointer='#/payload'] .wrong", has_text="is not JSON").wait_for()
    assert visitor.asked("/tasks") == []


def test_without_a_title_the_service_says_so_at_the_title(visit: Callable[..., Visit]) -> None:
    page = visit("#/new").page
    submit(page)
    page.locator("[data-pointer='#/title'] .wrong", has_text="is required").wait_for()


def test_a_request_that_is_repeated_after_a_failure_makes_one_task(
    visit: Callable[..., Visit],
) -> None:
    visitor = visit("#/new")
    page = visitor.page
    failures = [refusal(503, "Away.", **{"Retry-After": "5"})]
    keys = []

    def lose(route: Any) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if failures:
            route.fetch()  # it is done, and the answer is lost
            route.fulfill(**failures.pop())
        else:
            route.continue_()

    page.route("**/tasks", lose)
    page.get_by_label("Title").fill("Only once, please")
    submit(page)
    see(page, "It asks to wait 5.0 s.")
    submit(page)
    task = created(visitor)
    assert len(set(keys)) == 1
    assert len(keys) == 2
    found = visitor.stack.call("GET", "/tasks?text=only+once+please")[1]["items"]
    assert [one["id"] for one in found] == [task["id"]]


def test_a_time_to_begin_is_the_readers_own(visit: Callable[..., Visit]) -> None:
    visitor = visit("#/new", timezone_id="America/New_York")
    page = visitor.page
    page.get_by_label("Title").fill("In a new year")
    page.get_by_text("More: tags").click()
    page.get_by_label("Begin at").fill("2090-01-01T00:00")
    submit(page)
    assert created(visitor)["run_at"] == "2090-01-01T05:00:00.000000Z"


def test_a_unique_key_leads_to_the_task_that_has_it(
    shop: Stack, visit: Callable[..., Visit]
) -> None:
    number = post(shop, "The one", unique_key="the-one", delay_seconds=3600)
    visitor = visit("#/new")
    visitor.page.get_by_label("Title").fill("Another")
    visitor.page.get_by_text("More: tags").click()
    visitor.page.get_by_label("Unique key").fill("the-one")
    submit(visitor.page)
    assert created(visitor)["id"] == number
    assert json.loads(visitor.asked("/tasks")[0].post_data)["unique_key"] == "the-one"
