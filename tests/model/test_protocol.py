"""The protocol in every state it can reach, and what weaker ones get wrong."""

from __future__ import annotations

import pytest

from tests.model import company, rules
from tests.model.checker import Findings, explore
from tests.model.company import Company
from tests.model.protocol import Luck, Protocol, Setting
from tests.model.rows import Design
from tests.model.variants import (
    FAIL_UNSENT,
    FAIL_UNSENT_SETTING,
    OURS,
    SETTINGS,
    WEAKER,
    Weaker,
)

pytestmark = pytest.mark.model


def passes(findings: Findings) -> None:
    print(findings)  # noqa: T201  (shown by pytest -s, and when it fails)
    assert (findings.broken, findings.stuck) == ({}, 0), str(findings)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_no_state_breaks_a_rule_and_every_state_leads_to_an_end(setting: Setting) -> None:
    passes(explore(Protocol(OURS, setting)))


def test_failing_what_cannot_be_sent_is_as_safe() -> None:
    passes(explore(Protocol(FAIL_UNSENT, FAIL_UNSENT_SETTING)))


def test_attempts_would_do_as_tokens_because_they_only_rise() -> None:
    setting = Setting(luck=Luck(crashes=1, retries=1), attempts=1)
    passes(explore(Protocol(Design(settle="attempt"), setting)))


@pytest.mark.parametrize("weaker", WEAKER.values(), ids=WEAKER)
def test_a_weaker_design_is_caught(weaker: Weaker) -> None:
    findings = explore(Protocol(weaker.design, weaker.setting), until=weaker.caught_by)
    print(findings)  # noqa: T201  (shown by pytest -s, and when it fails)
    if weaker.caught_by is None:
        assert findings.stuck_trace, str(findings)
    else:
        assert weaker.caught_by in findings.broken, str(findings)


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_poison_fails_and_its_neighbour_completes_unpunished(attempts: int) -> None:
    passes(explore(Company(OURS, workers=3, attempts=attempts)))


@pytest.mark.parametrize(
    ("design", "rule"),
    [
        (Design(suspects_are_alone=False), company.PUNISHED),
        (
            Design(suspects_are_alone=False, suspects_are_released_once=False),
            rules.RELEASED_AGAIN,
        ),
        (Design(release_raises_limit=False), rules.COUNTED),
    ],
    ids=["claimed with others", "released again and again", "without a higher limit"],
)
def test_weaker_ways_with_suspects_punish_the_innocent_or_spare_the_poison(
    design: Design, rule: str
) -> None:
    findings = explore(Company(design, attempts=1), until=rule)
    assert rule in findings.broken, str(findings)
