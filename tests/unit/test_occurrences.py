"""The times that a cron expression names, across changes of clocks and long absences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from chalicelib.occurrences import LATE, MOST, Rhythm, check_cron, check_zone

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def berlin(cron: str, after: str, many: int) -> list[str]:
    times = Rhythm(cron, "Europe/Berlin").some(at(after), many)
    return [f"{time:%d %H:%M}" for time in times]


def test_times_are_those_of_the_zone() -> None:
    assert berlin("30 6 * * *", "2026-01-10T00:00+01:00", 2) == ["10 05:30", "11 05:30"]
    assert berlin("30 6 * * *", "2026-07-10T00:00+02:00", 2) == ["10 04:30", "11 04:30"]


def test_a_time_that_is_left_out_in_spring_comes_right_after() -> None:
    times = berlin("30 2 * * *", "2026-03-28T00:00+01:00", 3)
    assert times == ["28 01:30", "29 01:00", "30 00:30"]


def test_a_time_that_comes_twice_in_autumn_counts_once() -> None:
    times = berlin("30 2 * * *", "2026-10-24T00:00+02:00", 3)
    assert times == ["24 00:30", "25 00:30", "26 01:30"]


def test_a_time_that_has_come_does_not_come_again_in_the_second_of_two_same_hours() -> None:
    second = at("2026-10-25T02:15+01:00")
    assert berlin("30 2 * * *", second.isoformat(), 1) == ["26 01:30"]
    missed = at("2026-10-25T02:30+02:00")
    rhythm = Rhythm("30 2 * * *", "Europe/Berlin")
    assert rhythm.due(missed, second, catch_up=False) == ([], at("2026-10-26T02:30+01:00"))


@pytest.mark.parametrize("after", ["2026-03-29T01:40+01:00", "2026-10-25T01:40+02:00"])
def test_what_comes_often_comes_as_the_time_passes(after: str) -> None:
    times = Rhythm("*/15 * * * *", "Europe/Berlin").some(at(after), 12)
    assert {late - early for early, late in pairwise(times)} == {15 * MINUTE}


def test_a_leap_day_comes_every_four_years() -> None:
    times = Rhythm("0 0 29 2 *", "UTC").some(NOON, 2)
    assert [f"{time:%Y-%m-%d}" for time in times] == ["2028-02-29", "2032-02-29"]


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 0 L * *", ["2026-11-30", "2026-12-31", "2027-01-31", "2027-02-28"]),
        ("0 0 LW * *", ["2026-11-30", "2026-12-31", "2027-01-29", "2027-02-26"]),
        ("0 0 * * 5L", ["2026-11-27", "2026-12-25", "2027-01-29", "2027-02-26"]),
        ("0 0 * * MON#1", ["2026-12-07", "2027-01-04", "2027-02-01", "2027-03-01"]),
    ],
)
def test_days_may_be_counted_from_either_end_of_a_month(cron: str, days: list[str]) -> None:
    assert [f"{time:%Y-%m-%d}" for time in Rhythm(cron, "UTC").some(NOON, 4)] == days


@pytest.mark.parametrize(
    ("cron", "rule"),
    [
        ("* * * *", "must have five fields"),
        ("* * * * * *", "must have five fields"),
        ("@daily", "must have five fields"),
        ("*  * * * *", "must have five fields"),
        ("* * * * *\n", "must have five fields"),
        ("60 * * * *", "cannot be read: Bad minute"),
        ("* 24 * * *", "cannot be read: Bad hour"),
        ("* * * * MOO", "cannot be read: Bad day-of-week"),
        ("0 0 30 2 *", "cannot be read: Bad day-of-month"),
        ("0 0 31 2,4 *", "never comes|cannot be read"),
    ],
)
def test_an_expression_that_cannot_be_is_refused(cron: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        check_cron(cron)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus",
        "../etc/passwd",
        "/etc/localtime",
        "Europe",
        "Europe/",
        "UTC\n",
        "localtime",
        "right/UTC",
        "a" * 300,
    ],
)
def test_a_zone_that_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        check_zone(name)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+5"])
def test_a_zone_is_known_by_its_name(name: str) -> None:
    assert check_zone(name) == name


EVERY_MINUTE = Rhythm("* * * * *", "UTC")


def test_one_that_is_due_is_fired_and_the_next_is_in_the_future() -> None:
    now = NOON + timedelta(seconds=20)
    for catch_up in (False, True):
        assert EVERY_MINUTE.due(NOON, now, catch_up=catch_up) == ([NOON], NOON + MINUTE)


def test_one_that_is_not_due_stays() -> None:
    early = NOON - timedelta(seconds=1)
    assert EVERY_MINUTE.due(NOON, early, catch_up=False) == ([], NOON)


def test_a_tick_that_is_somewhat_late_misses_nothing() -> None:
    now = NOON + timedelta(seconds=LATE)
    times, following = EVERY_MINUTE.due(NOON, now, catch_up=False)
    assert times == [NOON + number * MINUTE for number in range(6)]
    assert following == NOON + 6 * MINUTE


def test_what_was_missed_is_skipped() -> None:
    now = NOON + timedelta(hours=3, seconds=30)
    times, following = Rhythm("0 * * * *", "UTC").due(NOON, now, catch_up=False)
    assert times == [NOON + timedelta(hours=3)]
    assert following == NOON + timedelta(hours=4)
    late = now + timedelta(minutes=10)
    assert Rhythm("0 * * * *", "UTC").due(NOON, late, catch_up=False) == ([], following)


def test_what_was_missed_is_caught_up_a_hundred_at_a_time() -> None:
    now = NOON + timedelta(minutes=250)
    times, following = EVERY_MINUTE.due(NOON, now, catch_up=True)
    assert (len(times), times[0], times[-1]) == (MOST, NOON, NOON + 99 * MINUTE)
    assert following == NOON + 100 * MINUTE
    assert following is not None
    more, _ = EVERY_MINUTE.due(following, now, catch_up=True)
    assert more[0] == following
