"""The list: filters, addresses, pages, and many tasks tried again at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visit import post, rows, see, settled
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.browser.visit import Visit
    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def titles(page: Any) -> list[str]:
    return list(page.locator(".tasks .what > a:first-child").all_inner_texts())


def test_a_filter_is_in_the_address_and_an_address_is_a_filter(visit: Callable[..., Visit]) -> None:
    page = visit("#/tasks").page
    page.get_by_label("Search").fill("invoice")
    page.get_by_label("Status").select_option("failed")
    page.wait_for_url("**/#/tasks?text=invoice&status=failed")
    page.locator(".tasks tr", has_text="Send the invoice 2").wait_for()
    rows(page, 3)
    again = visit(page.url.split("/", 3)[3]).page
    rows(again, 3)
    assert titles(again) == titles(page)
    assert again.get_by_label("Search").input_value() == "invoice"
    assert again.get_by_label("Status").input_value() == "failed"


def test_kinds_tags_and_times_are_filters_too(visit: Callable[..., Visit]) -> None:
    page = visit("#/tasks").page
    page.get_by_text("More filters").click()
    page.get_by_label("Kind").fill("import_order")
    page.get_by_label("Tag", exact=True).fill("nightly")
    page.get_by_label("Created from").fill("2020-01-01T00:00")
    page.get_by_label("Created before").fill("2021-01-01T00:00")
    see(page, "No task fits this filter.")
    page.get_by_label("Created before").fill("2090-01-01T00:00")
    rows(page, 50)
    assert all(title.startswith("Import order") for title in titles(page))
    page.get_by_role("button", name="Clear").click()
    page.wait_for_url("**/#/tasks")


def test_a_tag_leads_to_the_tasks_that_have_it(visit: Callable[..., Visit]) -> None:
    page = visit("#/tasks?tag=later").page
    page.locator(".tasks a.tag", has_text="later").wait_for()
    assert titles(page) == ["Much later"]
    page.get_by_role("link", name="Much later").click()
    page.get_by_role("heading", name="Much later").wait_for()
    page.go_back()
    page.get_by_role("link", name="Much later").wait_for()


def test_pages_lead_to_older_tasks_and_back(visit: Callable[..., Visit]) -> None:
    page = visit("#/tasks?tag=nightly").page
    page.get_by_role("link", name="Import order 1059").wait_for()
    page.get_by_role("link", name="Older tasks").click()
    page.get_by_role("link", name="Import order 1009").wait_for()
    rows(page, 10)
    page.get_by_role("link", name="Newest").click()
    page.get_by_role("link", name="Import order 1059").wait_for()


def test_a_new_task_appears_by_itself_and_the_focus_stays(
    shop: Stack, visit: Callable[..., Visit]
) -> None:
    page = visit("#/tasks").page
    page.locator(".tasks .what > a").first.focus()
    held = page.evaluate("document.activeElement.textContent")
    post(shop, "Here I am")
    page.get_by_role("link", name="Here I am").first.wait_for()
    assert page.evaluate("document.activeElement.textContent") == held


def test_all_failed_ones_that_are_shown_are_tried_again(
    shop: Stack, visit: Callable[..., Visit]
) -> None:
    numbers = [post(shop, f"Again {n}", kind="send_mail", tags=["again"]) for n in range(3)]
    for number in numbers:
        settled(shop, number)
    page = visit("#/tasks?status=failed&tag=again").page
    page.get_by_role("button", name="Try all failed ones again").click()
    see(page, "3 failed tasks fit the filter")
    page.keyboard.press("Escape")
    assert {shop.task(number)["attempt_limit"] for number in numbers} == {3}
    page.get_by_role("button", name="Try all failed ones again").click()
    page.get_by_role("button", name="Try 3 again").click()
    see(page, "3 were given new attempts.")
    assert {shop.task(number)["attempt_limit"] for number in numbers} == {4}


def test_a_task_is_cancelled_tried_again_and_deleted_when_that_is_confirmed(
    shop: Stack, visit: Callable[..., Visit]
) -> None:
    number = post(shop, "Maybe", delay_seconds=3600)
    page = visit(f"#/tasks/{number}").page
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave it").click()
    assert shop.task(number)["status"] == "pending"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the task").click()
    page.locator(".under .badge.cancelled").wait_for()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("dialog").get_by_role("button", name="Try again").click()
    page.locator(".under .badge.completed").wait_for()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete the task").click()
    page.get_by_role("heading", name="All tasks").wait_for()
    assert shop.call("GET", f"/tasks/{number}")[0] == 404


def test_a_task_that_is_not_there_is_told(visit: Callable[..., Visit]) -> None:
    page = visit("#/tasks/999999999").page
    see(page, "There is no task 999999999.")


@pytest.mark.parametrize("path", ["abc", "1.5", "-1", "0"])
def test_what_cannot_be_the_number_of_a_task_is_told_and_not_asked_for(
    visit: Callable[..., Visit], path: str
) -> None:
    visitor = visit(f"#/tasks/{path}")
    see(visitor.page, f"There is no task {path}:")
    assert [one.url for one in visitor.requests if "/tasks/" in one.url.split("#")[0]] == []


def test_more_than_one_request_takes_are_tried_again_from_place_to_place(
    visit: Callable[..., Visit],
) -> None:
    visitor = visit("#/tasks?status=failed&text=invoice")
    page = visitor.page
    page.get_by_role("button", name="Try all failed ones again").wait_for()
    bodies = []
    answers = [
        {"ids": [1, 2], "more": True, "next_cursor": "after-2-2"},
        {"ids": [], "more": True, "next_cursor": "after-3-3"},
        {"ids": [4], "more": False, "next_cursor": None},
    ]

    def answer(route: Any) -> None:
        bodies.append(route.request.post_data_json)
        route.fulfill(json=answers[len(bodies) - 1])

    page.route("**/tasks/retry", answer)
    page.get_by_role("button", name="Try all failed ones again").click()
    page.get_by_role("button", name="Try 3 again").click()
    see(page, "3 were given new attempts.")
    assert [body.get("cursor") for body in bodies] == [None, "after-2-2", "after-3-3"]
    assert {(body["status"], body["text"]) for body in bodies} == {("failed", "invoice")}


def test_a_page_on_which_nothing_fits_leads_to_older_ones(visit: Callable[..., Visit]) -> None:
    page = visit("docs/viewer.js").page
    told = {"items": [], "next_cursor": "before-2-2"}
    page.route("**/tasks?text=rare&limit=50", lambda route: route.fulfill(json=told))
    page.goto(f"{page.url.removesuffix('docs/viewer.js')}#/tasks?text=rare")
    see(page, "there are older ones")
    assert "cursor=before-2-2" in page.get_by_role("link", name="Older tasks").get_attribute("href")


MANY = """
insert into tasks (title, status, attempt, tags, error, created_at, updated_at, started_at,
                   finished_at)
select 'Bulk ' || n, case when n % 100 = 1 then 'failed' else 'completed' end, 1, '{bulk}',
       case when n % 100 = 1 then '{"code": "exception", "message": "x"}'::jsonb end,
       now() - make_interval(secs => n * 0.03), now(), now(), now()
  from generate_series(1, 100000) as n
"""


@pytest.fixture(scope="module")
def crowded(new_stack: Callable[..., Stack]) -> Iterator[Stack]:
    """A stack with a hundred thousand tasks."""
    with new_stack() as stack:
        url = stack.environ()["DATABASE_URL"]
        table = Table(url)
        table.run("set statement_timeout = 0")  # the role has the service's
        table.run(MANY)
        table.run("analyze tasks")
        table.close()
        yield stack


def test_a_hundred_thousand_tasks_are_counted_filtered_and_turned_page_by_page(
    crowded: Stack, visit_to: Callable[..., Visit]
) -> None:
    visit = visit_to(crowded)
    page = visit.page
    page.locator(".count.completed .number", has_text="99,000").wait_for()
    page.locator(".count.failed .number", has_text="1,000").click()
    page.get_by_role("link", name="Bulk 1", exact=True).wait_for()
    page.get_by_role("button", name="Try all failed ones again").click()
    see(page, "1,000 failed tasks fit the filter")
    page.get_by_role("button", name="Leave it").click()
    page.get_by_role("link", name="Older tasks").click()
    page.get_by_role("link", name="Bulk 5001", exact=True).wait_for()
    page.get_by_label("Search").fill("99999")
    page.get_by_label("Status").select_option("")
    page.get_by_role("link", name="Bulk 99999", exact=True).wait_for()
    rows(page, 1)
