"""Draws the README's pictures: a stack of its own, the tasks of a shop, a browser."""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from playwright.sync_api import sync_playwright

from chalicelib.queue import Letter
from chalicelib.queue.sqs import Queue
from chalicelib.settings import Settings
from tests.browser.handlers import add_handlers
from tests.browser.visit import Visit, post, see, settled
from tests.e2e.stack import Stack, copy_tree
from tests.tree import ROOT
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = ROOT / "docs" / "images"
MOST = 200_000  # bytes of a picture

#: An hour of a shop that has been at work before the pictures are drawn.
HOUR = """
insert into tasks (kind, title, status, attempt, tags, payload, result, error, created_at, run_at,
                   updated_at, started_at, finished_at)
select kind, title, case when fails then 'failed' else 'completed' end, 1, tags, payload,
       case when fails then to_jsonb('Error: ' || message) else '{"ok": true}'::jsonb end,
       case when fails then jsonb_build_object('code', 'permanent', 'class', 'GiveUp',
                                               'message', message) end,
       due, due, due + waited + ran, due + waited, due + waited + ran
  from (select case when n % 3 = 0 then 'resize_photo' else 'import_order' end as kind,
               case when n % 3 = 0 then 'Resize photo ' || n else 'Import order ' || 1000 + n end
                   as title,
               case when n % 3 = 0 then '{photos}' else '{shop,nightly}' end::text[] as tags,
               jsonb_build_object('number', n) as payload,
               'The payload has no address to send to.' as message,
               n % 61 = 7 as fails,
               now() - interval '4 minutes' - make_interval(
                   secs => 3300 * power(random(), 0.8)) as due,
               make_interval(secs => 0.02 + 0.4 * power(random(), 4)) as waited,
               make_interval(secs => 0.05 + 3 * power(random(), 6)) as ran
          from generate_series(1, 1200) as n) as made
"""


def main() -> int:
    """Draw them; returns 1 if one is too large."""
    random.seed(1)
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictured-") as folder:
        Path(folder).chmod(0o755)  # as root, the database runs as nobody
        copy = copy_tree(Path(folder))
        add_handlers(copy)
        with Stack(copy, RETRY_DELAY="3") as stack, sync_playwright() as playwright:
            charged = fill(stack)
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            for name, size in draw(chromium, stack, charged):
                sys.stdout.write(f"docs/images/{name} {size:,} bytes\n")
                if size > MOST:
                    return 1
    return 0


def fill(stack: Stack) -> int:
    """Create the tasks; returns the one that failed twice and then succeeded."""
    table = Table(stack.environ()["DATABASE_URL"])
    table.run("set statement_timeout = 0")
    table.run("select setseed(0.5)")
    table.run(HOUR)
    bury(stack, [row["id"] for row in table.run("select id from tasks where status = 'failed'")])
    table.close()
    charged = post(
        stack,
        "Charge the card of order 1007",
        kind="charge_card",
        payload={"amount": "129.00"},
        tags=["billing", "order:1007"],
    )
    settled(stack, charged)
    for number in (2207, 2208):
        payload = {"number": number}
        post(stack, f"Import order {number}", kind="import_order", payload=payload, tags=["shop"])
    settled(stack, post(stack, "Send the invoice of order 1011", kind="send_mail", tags=["mail"]))
    post(stack, "Charge the card of order 1012", kind="charge_card", tags=["billing"])
    post(stack, "Resize photo 4021", kind="resize_photo", payload={"seconds": 40}, tags=["photos"])
    post(stack, "Remind Ada of her appointment", kind="send_mail", delay_seconds=3600)
    return charged


def bury(stack: Stack, failed: list[int]) -> None:
    """Send the letters that these would have."""
    environ = stack.environ()
    client = boto3.client(
        "sqs",
        region_name="us-east-1",
        endpoint_url=environ["AWS_ENDPOINT_URL_SQS"],
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  (what the local server takes)
    )
    name = Settings.from_env(environ).dead_letter_queue_name
    Queue(lambda: client, name).send(
        [Letter(tenant="acme", id=one, title="", description=None) for one in failed]
    )


def draw(chromium: Any, stack: Stack, charged: int) -> Iterator[tuple[str, int]]:
    """Yield the name and size of each picture."""
    wide = {"viewport": {"width": 1120, "height": 700}}
    tall = {"viewport": {"width": 1120, "height": 980}}
    phone = {"viewport": {"width": 360, "height": 720}}
    pictures = [
        ("overview.png", "", "How long tasks take", {**wide, "color_scheme": "light"}),
        (
            "task.png",
            f"#/tasks/{charged}",
            "Attempt 3 succeeded",
            {**tall, "color_scheme": "light"},
        ),
        ("list.png", "#/tasks", "Resize photo 4021", {**wide, "color_scheme": "dark"}),
        (
            "phone.png",
            f"#/tasks/{charged}",
            "Attempt 3 succeeded",
            {**phone, "color_scheme": "dark"},
        ),
        (
            "form.png",
            "#/new?kind=import_order",
            "As printed on the invoice",
            {"viewport": {"width": 720, "height": 800}, "color_scheme": "light"},
        ),
    ]
    for name, path, text, options in pictures:
        visit = Visit(chromium, stack, **options)
        visit.open(path)
        see(visit.page, text)
        if name == "form.png":
            fill_in(visit.page)
        visit.page.screenshot(path=IMAGES / name)
        visit.close()
        yield name, (IMAGES / name).stat().st_size


def fill_in(page: Any) -> None:
    """Fill in the form, with a number that breaks its rule."""
    page.get_by_label("Title").fill("Import order 2209")
    page.get_by_label("Number").fill("0")
    page.get_by_role("button", name="Add one").click()
    page.get_by_label("Items 1").fill("lamp")
    page.get_by_role("button", name="Create the task").click()
    page.locator(".wrong").wait_for()
    page.evaluate("scrollTo(0, 0)")


if __name__ == "__main__":
    sys.exit(main())
