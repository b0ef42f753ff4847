from __future__ import annotations

from graphlib import CycleError

import pytest

from chalicelib.web.joined import joined

TWO = {
    "main": 'import { one, two } from "./numbers.js";\nconst own = one + two();\n',
    "numbers": "export const one = 1;\nconst own = 2;\nexport function two() {\n  return own;\n}\n",
}


def test_a_module_comes_after_those_that_it_imports_and_its_names_stay_its_own() -> None:
    assert joined(TWO) == (
        "const $numbers = (() => {\n"
        "const one = 1;\nconst own = 2;\nfunction two() {\n  return own;\n}\n"
        "return { one, two };\n})();\n"
        "const $main = (() => {\n"
        "const { one, two } = $numbers;\nconst own = one + two();\n"
        "return {  };\n})();\n"
    )


def test_a_module_is_imported_whole_too() -> None:
    text = joined({"a": 'import * as b from "./b.js";\n', "b": "export async function c() {}\n"})
    assert "const b = $b;" in text
    assert "return { c };" in text


def test_the_order_in_which_files_are_found_does_not_matter() -> None:
    assert joined(TWO) == joined(dict(reversed(TWO.items())))


def test_modules_that_import_each_other_are_refused() -> None:
    with pytest.raises(CycleError):
        joined({"a": 'import { b } from "./b.js";\n', "b": 'import { a } from "./a.js";\n'})


@pytest.mark.parametrize(
    "line",
    [
        'import one from "./one.js";',
        'import "./one.js";',
        'import { one as two } from "./one.js";',
        'import { one } from "https://example.com/one.js";',
        "export default function one() {}",
        "export { one };",
        "export let one = 1;",
    ],
)
def test_a_form_that_is_not_known_is_refused_and_not_left_in(line: str) -> None:
    with pytest.raises(ValueError, match="has what cannot be joined"):
        joined({"one": "", "two": line} if "./one" in line else {"one": line})
