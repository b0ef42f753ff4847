"""The worlds in which the protocol is explored, and the weaker designs that must not pass."""

from __future__ import annotations

from typing import NamedTuple

from tests.model import rules
from tests.model.protocol import Luck, Setting
from tests.model.rows import Design

OURS = Design()

#: Worlds that hold everything that may go wrong, a few kinds at a time.
SETTINGS = {
    "doubled messages": Setting(luck=Luck(duplicates=1)),
    "lost replies of the database": Setting(luck=Luck(lost_replies=1)),
    "crashes, failed sends and lost replies": Setting(
        luck=Luck(crashes=1, failed_sends=1, lost_replies=1), attempts=1
    ),
    "crashes and the loss of the whole queue": Setting(luck=Luck(crashes=1, lost_queues=1)),
    "crashes and releases": Setting(luck=Luck(crashes=1, releases=1), attempts=1),
    "no room, crashes and failed sends": Setting(
        luck=Luck(full=1, crashes=1, failed_sends=1), attempts=1
    ),
    "no room and doubled messages": Setting(luck=Luck(full=2, duplicates=1), attempts=1),
    "no room, the loss of the whole queue and what clients wish": Setting(
        luck=Luck(full=1, lost_queues=1, cancels=1, retries=1), attempts=1, handler_fails=False
    ),
    "crashes in company": Setting(luck=Luck(), company=True, handler_fails=False),
    "everything that clients wish": Setting(
        luck=Luck(cancels=1, retries=1, deletes=1, expiries=1), attempts=1
    ),
    "three workers": Setting(luck=Luck(), workers=3, handler_fails=False),
    "three receives": Setting(luck=Luck(), receives=3),
}
#: A create that fails what it cannot send, and a client that tries it again.
FAIL_UNSENT = Design(fails_unsent=True)
FAIL_UNSENT_SETTING = Setting(luck=Luck(failed_sends=1, retries=1), attempts=1)


class Weaker(NamedTuple):
    """A design that must be caught: by a rule that it breaks, or (None) because it gets stuck."""

    design: Design
    setting: Setting
    caught_by: str | None


SMALL = Setting(luck=Luck(crashes=1, duplicates=1), handler_fails=False)
AGAIN = Setting(luck=Luck(crashes=1, retries=1), attempts=1)
NO_LUCK = Setting(luck=Luck(), handler_fails=False)

WEAKER = {
    "whoever knows the id may settle": Weaker(Design(settle="id"), SMALL, rules.STALE),
    "whoever finds the task processing may settle": Weaker(
        Design(settle="status"), SMALL, rules.STALE
    ),
    "whoever finds the task unfinished may settle": Weaker(
        Design(settle="open"), SMALL, rules.STALE
    ),
    "whoever finds the lease alive may settle": Weaker(Design(settle="lease"), SMALL, rules.STALE),
    "attempts are the tokens and a retry by hand counts from 0 again": Weaker(
        Design(settle="attempt", retry_keeps_attempt=False), AGAIN, rules.STALE
    ),
    "there is no sweeper": Weaker(
        Design(has_sweeper=False), Setting(luck=Luck(failed_sends=1)), None
    ),
    "there is no sweeper and only handlers fail": Weaker(
        Design(has_sweeper=False), Setting(luck=Luck()), None
    ),
    "a rescue does not wait for the end of the lease": Weaker(
        Design(rescue_needs_lost_lease=False), NO_LUCK, rules.UNDER_LEASE
    ),
    "commit, send, mark as failed": Weaker(
        Design(settle="id", claim_looks=False, create="mark failed", has_sweeper=False),
        Setting(luck=Luck(failed_sends=1, duplicates=1), handler_fails=False),
        rules.FINAL_CHANGED,
    ),
    "commit, send, and a crash between the two": Weaker(
        Design(create="mark failed", has_sweeper=False), Setting(luck=Luck(crashes=1)), None
    ),
    "send, then commit": Weaker(Design(create="send first", has_sweeper=False), NO_LUCK, None),
    "dead letters fail tasks whose lease is alive": Weaker(
        Design(fails_dead_letters=True), NO_LUCK, rules.UNDER_LEASE
    ),
    "the last receive is kept for waiting tasks": Weaker(
        Design(last_receive_is_given_up=False), Setting(luck=Luck()), rules.LAST_RECEIVE
    ),
    "suspects are claimed with others": Weaker(
        Design(suspects_are_alone=False), Setting(luck=Luck(), company=True), rules.IN_COMPANY
    ),
    "suspects are released again and again": Weaker(
        Design(suspects_are_alone=False, suspects_are_released_once=False),
        Setting(luck=Luck(), company=True),
        rules.RELEASED_AGAIN,
    ),
    "nobody calls what is parked": Weaker(
        Design(parked_are_called=False), Setting(luck=Luck(full=1)), None
    ),
    "a release does not raise the limit": Weaker(
        Design(release_raises_limit=False),
        Setting(luck=Luck(releases=1), attempts=1, handler_fails=False),
        rules.COUNTED,
    ),
}
