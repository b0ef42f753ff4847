"""The page for everybody: keyboards, screen readers, phones, light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visit import focused, post, see, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.visit import Visit
    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def places(shop: Stack) -> dict[str, tuple[str, str]]:
    """Every page: its address, and a text that is there when it is drawn."""
    long = post(shop, "x" * 255, kind="shouts", description="y" * 500, tags=["z" * 64])
    settled(shop, long)
    waiting = shop.call("GET", "/tasks?tag=later")[1]["items"][0]["id"]
    return {
        "overview": ("", "How long tasks take"),
        "list": ("#/tasks", "x" * 255),
        "failed": ("#/tasks?status=failed&kind=shouts", "Try all failed ones again"),
        "nothing": ("#/tasks?tag=none", "No task fits this filter."),
        "failed task": (f"#/tasks/{long}", "Attempt 3 failed, for good"),
        "waiting task": (f"#/tasks/{waiting}", "Waits for its time"),
        "form": ("#/new?kind=import_order", "As printed on the invoice"),
        "absent": ("#/tasks/999999", "There is no task"),
    }


PLACES = ["overview", "list", "failed", "nothing", "failed task", "waiting task", "form", "absent"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", PLACES)
def test_axe_finds_nothing_serious(
    visit: Callable[..., Visit], places: dict[str, tuple[str, str]], place: str, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    path, text = places[place]
    page = visit(path, color_scheme=scheme).page
    see(page, text)
    for summary in page.locator("summary").all():
        summary.click()
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in {"serious", "critical"}]
    told = [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious]
    assert told == []


@pytest.mark.parametrize("place", PLACES)
def test_a_phone_scrolls_down_and_never_sideways(
    visit: Callable[..., Visit], places: dict[str, tuple[str, str]], place: str
) -> None:
    path, text = places[place]
    page = visit(path, viewport=PHONE).page
    see(page, text)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_slash_leads_to_the_search_from_anywhere(visit: Callable[..., Visit]) -> None:
    page = visit("").page
    see(page, "How long tasks take")
    page.keyboard.press("/")
    focused(page.get_by_label("Search"))
    page.keyboard.type("a/b")
    assert page.get_by_label("Search").input_value() == "a/b"
    page.keyboard.press("Escape")
    focused(page.locator("body"))


def test_all_is_reached_by_the_keyboard_and_seen_where_one_is(
    visit: Callable[..., Visit], places: dict[str, tuple[str, str]]
) -> None:
    for path, text in places.values():
        page = visit(path).page
        see(page, text)
        wanted = page.evaluate(_WHICH)
        page.evaluate("document.activeElement.blur()")
        seen: set[str] = set()
        unseen: set[str] = set()
        for _ in range(len(wanted) + 20):
            page.keyboard.press("Tab")
            name, visible = page.evaluate(_WHERE)
            (seen if visible else unseen).add(name)
        assert set(wanted) - seen == set()
        assert {name for name in unseen if not name.startswith("BODY")} == set()


_NAME = """one => [one.tagName, one.id, one.name, one.hash, one.textContent.slice(0, 40)]
  .filter(Boolean).join(" ")"""
_WHICH = f"""[...document.querySelectorAll("a, button, input, select, textarea, summary")]
  .filter(one => one.checkVisibility()).map({_NAME})"""
# What has the focus, and whether that can be seen.
_WHERE = f"""() => {{
  const style = getComputedStyle(document.activeElement);
  const visible = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  return [({_NAME})(document.activeElement), visible];
}}"""


def test_escape_closes_a_dialog_and_the_focus_returns(visit: Callable[..., Visit]) -> None:
    page = visit("#/tasks?status=failed&text=invoice").page
    button = page.get_by_role("button", name="Try all failed ones again")
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert button.evaluate("one => one === document.activeElement")


def ground(page: Any) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_light_and_dark_follow_the_system_and_the_switch(visit: Callable[..., Visit]) -> None:
    light = visit("", color_scheme="light").page
    dark = visit("", color_scheme="dark").page
    assert ground(light) != ground(dark)
    light.get_by_role("button", name="Show the page dark").click()
    assert ground(light) == ground(dark)
    light.get_by_role("button", name="Show the page light").click()
    assert ground(light) != ground(dark)


def test_a_chart_is_a_picture_with_words_and_a_table(visit: Callable[..., Visit]) -> None:
    page = visit("").page
    page.get_by_role("img", name="In the last 60 minutes:").wait_for()
    page.get_by_text("As a table").click()
    rows = page.get_by_role("region", name="Each minute, in numbers").locator("tbody tr")
    assert rows.count() >= 1
    assert rows.first.locator("td").count() == 3


def test_a_time_is_exact_in_utc_where_it_is_pointed_at(
    shop: Stack, visit: Callable[..., Visit]
) -> None:
    number = post(shop, "When?", delay_seconds=3600)
    page = visit(f"#/tasks/{number}").page
    see(page, "Waits for its time")
    exact = shop.task(number)["created_at"].replace("T", " ").replace("Z", " UTC")
    assert page.locator(".facts time").first.get_attribute("title") == exact
