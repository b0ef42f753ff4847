"""The page for everybody: keyboards, screen readers, phones, light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visit import described, focused, post, see, serious, settled

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
    path, text = places[place]
    page = visit(path, color_scheme=scheme).page
    see(page, text)
    for summary in page.locator("summary").all():
        summary.click()
    assert serious(page) == []


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


def test_what_is_below_the_picture_of_a_task_stays_on_its_line_on_a_phone(
    visit: Callable[..., Visit], places: dict[str, tuple[str, str]]
) -> None:
    path, text = places["failed task"]
    page = visit(path, viewport=PHONE).page
    see(page, text)
    told = page.locator(".picture .ends > span", has_text="in all")
    assert told.bounding_box()["height"] < 30  # of two lines it is more


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_while_a_dialog_is_open(
    shop: Stack, visit: Callable[..., Visit], scheme: str
) -> None:
    waiting, failed = (
        shop.call("GET", f"/tasks?{which}&limit=1")[1]["items"][0]["id"]
        for which in ("tag=later", "status=failed")
    )
    page = visit("", color_scheme=scheme).page
    for path, opener in (
        ("tasks?status=failed", "Try all failed ones again"),
        (f"tasks/{waiting}", "Cancel"),
        (f"tasks/{failed}", "Try again"),
        (f"tasks/{failed}", "Delete"),
    ):
        page.evaluate("path => { location.hash = `#/${path}`; }", path)
        page.get_by_role("button", name=opener).click()
        page.get_by_role("dialog").wait_for()
        assert (opener, serious(page)) == (opener, [])
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="detached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_while_a_key_is_asked_for(
    guarded: Stack, visit_to: Callable[..., Visit], scheme: str
) -> None:
    page = visit_to(guarded, color_scheme=scheme).page
    described(page.get_by_label("API key"), "Send a valid key.* scripts/keys.sh")
    assert serious(page) == []


def test_the_way_back_closes_a_dialog_and_leaves_nothing_behind(
    visit: Callable[..., Visit],
) -> None:
    page = visit("").page
    page.locator(".count.failed").click()
    opener = page.get_by_role("button", name="Try all failed ones again")
    opener.click()
    page.get_by_role("dialog").wait_for()
    page.go_back()
    page.get_by_role("dialog").wait_for(state="detached")
    assert page.url.endswith("#/tasks?status=failed")
    opener.click()
    page.get_by_role("button", name="Leave it").click()
    page.wait_for_function("history.state === null")  # the dialog's own step is taken back
    page.go_back()
    page.get_by_role("heading", name="Overview").wait_for()


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


def test_what_is_too_much_to_count_is_not_told_as_nothing(visit: Callable[..., Visit]) -> None:
    page = visit("docs/viewer.js").page

    def uncounted(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"throughput": []})

    page.route("**/stats", uncounted)
    page.goto(page.url.removesuffix("docs/viewer.js"))
    see(page, "There are too many to count")
    assert page.get_by_text("0 created").count() == 0
    assert page.get_by_role("img", name="In the last").count() == 0


def test_a_time_is_exact_in_utc_where_it_is_pointed_at(
    shop: Stack, visit: Callable[..., Visit]
) -> None:
    number = post(shop, "When?", delay_seconds=3600)
    page = visit(f"#/tasks/{number}").page
    see(page, "Waits for its time")
    exact = shop.task(number)["created_at"].replace("T", " ").replace("Z", " UTC")
    assert page.locator(".facts time").first.get_attribute("title") == exact
