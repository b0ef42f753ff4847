"""Values that can be kept as JSON, and those that cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import NotStorable
from chalicelib.strict_json import MAX_DEPTH, clean, encode

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), inner)
    ),
)


@given(value=JSON)
def test_every_plain_value_comes_back_as_it_was(value: Any) -> None:
    assert json.loads(encode(value)) == value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("\0", "NUL"),
        ("\\\0", "NUL"),
        ({"a\0": 1}, "NUL"),
        (["\\\\\\\0"], "NUL"),
        ("\ud800", "surrogates"),
        ({"\udfff": 1}, "surrogates"),
        (float("nan"), "not JSON"),
        (-float("inf"), "not JSON"),
        (b"bytes", "not JSON"),
        ({1, 2}, "not JSON"),
        ({(1,): 2}, "not JSON"),
        pytest.param(10**5000, "not JSON", id="more digits than Python writes"),
        pytest.param("é" * 131_072, "takes 262,146 bytes", id="too long"),
    ],
)
def test_what_the_database_could_not_keep_is_refused_with_its_reason(value: Any, why: str) -> None:
    with pytest.raises(NotStorable, match=why):
        encode(value)


@pytest.mark.parametrize("value", ["\\u0000", "\\\\u0000", "a\\u0000b", {"\\u0000": "\\"}])
def test_a_text_that_only_speaks_of_nul_is_kept(value: Any) -> None:
    assert json.loads(encode(value)) == value


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotStorable):
        encode(value)


def _nested(levels: int, *, in_objects: bool) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = {"a": value} if in_objects else [value]
    return value


@pytest.mark.parametrize("in_objects", [True, False])
def test_nesting_is_bounded(in_objects: bool) -> None:  # noqa: FBT001
    encode(_nested(MAX_DEPTH, in_objects=in_objects))
    for levels in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(NotStorable, match="nested too deeply"):
            encode(_nested(levels, in_objects=in_objects))


def test_a_wide_value_is_not_taken_for_a_deep_one() -> None:
    encode([[[]] for _ in range(1000)])


def test_the_largest_value_is_exactly_as_large_as_documented() -> None:
    encode("x" * (256 * 1024 - 2))
    with pytest.raises(NotStorable, match="at most 262,144 are kept"):
        encode("x" * (256 * 1024 - 1))


@given(text=st.text(st.characters()), max_bytes=st.integers(3, 200))
def test_a_cleaned_text_can_be_kept_and_is_cut_between_characters(
    text: str, max_bytes: int
) -> None:
    cleaned = clean(text, max_bytes=max_bytes)
    assert len(cleaned.encode()) <= max_bytes
    encode(cleaned)
    plain = text.replace("\0", "").encode("utf-8", "replace").decode()
    assert cleaned == plain or (cleaned.endswith("…") and plain.startswith(cleaned[:-1]))
