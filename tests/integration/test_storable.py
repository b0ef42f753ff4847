"""What the code takes for storable, PostgreSQL stores."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.db import array
from chalicelib.errors import NotStorable
from chalicelib.strict_json import MAX_DEPTH, clean, encode

if TYPE_CHECKING:
    from tests.world import World

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("d", struct.pack("Q", bits))[0])
    | st.text(st.characters())  # surrogates and NUL too
    | st.sampled_from(["\\u0000", "\\", '"', "\0", "\ud800", "\\\0"])
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(st.text(st.characters()) | st.integers() | st.none(), inner)
    ),
    max_leaves=20,
)


@given(value=ANYTHING)
@settings(max_examples=400)
def test_every_value_that_is_taken_for_storable_is_stored(world: World, value: Any) -> None:
    try:
        text = encode(value)
    except NotStorable:
        return
    [row] = world.table.run("select %s::jsonb as value", [text])
    if not isinstance(value, float):  # in decimal, 1e23 is another number than in binary
        assert json.loads(encode(row["value"])) == row["value"]


def test_the_deepest_and_the_longest_values_are_stored(world: World) -> None:
    deep: Any = 0
    for _ in range(MAX_DEPTH):
        deep = {"a": [deep]} if isinstance(deep, int) else [deep]
    for value in (deep[0] if isinstance(deep, list) else deep, 10**4000, "x" * 262_142):
        world.table.run("select %s::jsonb", [encode(value)])


@given(text=st.text(st.characters()))
@settings(max_examples=200)
def test_every_cleaned_text_is_stored(world: World, text: str) -> None:
    cleaned = clean(text, max_bytes=100)
    assert world.table.run("select %s::text as text", [cleaned]) == [{"text": cleaned}]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(
    texts=st.lists(st.none() | TEXT | st.sampled_from(["null", "", "{", "}", ",", '\\"', " a "]))
)
@settings(max_examples=200)
def test_texts_come_out_of_an_array_as_they_went_in(world: World, texts: list[str | None]) -> None:
    rows = world.table.run("select %s::text[] as texts", [array(texts)])
    assert rows == [{"texts": texts}]


@given(numbers=st.lists(st.none() | st.floats(allow_nan=False)))
@settings(max_examples=100)
def test_numbers_come_out_of_an_array_as_they_went_in(
    world: World, numbers: list[float | None]
) -> None:
    rows = world.table.run("select %s::float8[] as numbers", [array(numbers)])
    assert rows == [{"numbers": numbers}]


def test_flags_and_ids_come_out_of_an_array_as_they_went_in(world: World) -> None:
    said = [array([True, False]), array([1, 2**63 - 1])]
    rows = world.table.run("select %s::boolean[] as flags, %s::bigint[] as ids", said)
    assert rows == [{"flags": [True, False], "ids": [1, 2**63 - 1]}]
