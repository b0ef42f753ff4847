"""The page at / is small, and what it shows is text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "chalice_app" / "chalicelib" / "static" / "page"
FILES = sorted(PAGE.iterdir())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
BUDGET = 150_000  # bytes of all its files, as they lie there
CEILING = 200  # lines of a script


def name(path: Path) -> str:
    return path.name


def test_the_page_is_small() -> None:
    assert sum(path.stat().st_size for path in FILES) < BUDGET


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_is_short_and_opens_with_one_sentence(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= CEILING
    assert re.fullmatch(r"// [A-Z].*\.", lines[0])


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_no_script_makes_markup_or_code_of_a_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    dangerous = r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|srcdoc"
    assert re.findall(dangerous, text) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_only_the_key_is_kept_and_only_in_the_tab(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"localStorage|indexedDB|document\.cookie|caches\.", text) == []
    assert ("sessionStorage" in text) == (path.name == "key.js")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_file_names_another_host(path: Path) -> None:
    # The name of a namespace is no address.
    found = re.findall(r"\w+://[^\s\"'`]+", path.read_text(encoding="utf-8"))
    assert set(found) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_every_import_is_of_a_script_that_has_what_is_imported(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for names, source in re.findall(r"import \{([^}]*)\} from \"\./([^\"]+)\"", text):
        exported = set(
            re.findall(
                r"export (?:async )?(?:function|const|class) (\w+)",
                (PAGE / source).read_text(encoding="utf-8"),
            )
        )
        wanted = {one.strip() for one in names.split(",") if one.strip()}
        assert wanted <= exported, source
        unused = {one for one in wanted if len(re.findall(rf"\b{one}\b", text)) < 2}
        assert unused == set(), path.name


def test_the_page_has_no_script_and_no_style_of_its_own() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<style|style=|\son\w+=|<script(?![^>]* src=)", html) == []
