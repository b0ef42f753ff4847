"""What clients and handlers wrote is shown as they wrote it, and nothing of it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visit import post, rows, see, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.visit import Visit
    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

CORPUS = [
    "<script>document.title = 'hacked'; alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    '"><svg onload=alert(3)>',
    "'-alert(4)-'",
    "</title><script>alert(5)</script>",
    "<iframe srcdoc='<script>parent.alert(6)</script>'>",
    "javascript:alert(7)",
    "<a href='javascript:alert(8)'>press me</a>",
    "<style>body { display: none }</style>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(9)>",
    "<template><img src=x onerror=alert(10)></template>",
    "{{constructor.constructor('alert(11)')()}}",
    "${alert(12)}",
    "<details open ontoggle=alert(13)>",
    "&lt;b&gt;&#60;script&#62;",
    "\u202eevil\u202c right to left",
    "<meta http-equiv=refresh content='0;url=https://example.com'>",
    "<base href=https://example.com/>",
    "<link rel=stylesheet href=https://example.com/x.css>",
    "<form action=https://example.com><input name=q autofocus onfocus=alert(14)>",
]


def texts(page: Any, selector: str) -> list[str]:
    return list(page.locator(selector).evaluate_all("all => all.map(one => one.textContent)"))


def test_nothing_that_was_written_into_a_task_happens(
    shop: Stack, visit: Callable[..., Visit]
) -> None:
    numbers = [
        post(shop, text, kind="shouts", description=text, payload={text: [text]}, tags=["corpus"])
        for text in CORPUS
    ]
    done = [settled(shop, number) for number in numbers]
    page = visit("#/tasks?tag=corpus").page
    rows(page, len(CORPUS))
    assert texts(page, ".tasks .what > a:first-child") == CORPUS[::-1]
    for task, text in zip(done, CORPUS, strict=True):
        page.goto(f"{page.url.split('#')[0]}#/tasks/{task['id']}")
        see(page, "Attempt 3 failed, for good")
        assert texts(page, "h1") == [text]
        assert texts(page, ".description") == [text]
        assert texts(page, ".timeline .reason") == [f"ValueError: {text} exception"] * 3
        assert f"Error: {text}" in texts(page, ".value pre")
        assert page.title() == f"{text} ({task['id']}) - Tasks"
    assert page.evaluate("document.scripts.length") == 1
    assert page.locator("main :is(script, img, iframe, style, form, base, meta, link)").count() == 0
    # No dialog, no request to elsewhere and no line on the console: Visit.close() tells of them.


def test_what_is_written_into_the_address_is_text_too(visit: Callable[..., Visit]) -> None:
    text = CORPUS[1]
    for path in (
        f"#/tasks/{text}",
        f"#/tasks?text={text}&kind={text}",
        f"#/{text}",
        f"#/new?kind={text}",
    ):
        page = visit(path).page
        page.locator("h1").wait_for()
        assert page.locator("main img").count() == 0


def test_a_large_payload_is_shown_whole(shop: Stack, visit: Callable[..., Visit]) -> None:
    number = post(shop, "Large", payload={"lines": ["x" * 100] * 2000}, delay_seconds=3600)
    page = visit(f"#/tasks/{number}").page
    page.get_by_role("heading", name="Payload").wait_for()
    shown = page.get_by_role("region", name="Payload")
    assert shown.evaluate("one => one.textContent.length") > 200_000
    assert shown.bounding_box()["height"] < 500
