"""What others wrote and we ship is what its notice says, and small."""

from __future__ import annotations

import hashlib
import re
import zlib

from tests.tree import ROOT

DOCS = ROOT / "chalice_app" / "chalicelib" / "static" / "docs"
BUDGET = 300_000  # bytes of the viewer in the package


def test_the_viewers_library_is_the_one_that_its_notice_names() -> None:
    notice = (DOCS / "NOTICE").read_text(encoding="utf-8")
    library = (DOCS / "openapi-explorer.min.js").read_bytes()
    named = re.search(r"is openapi-explorer (\S+) by", notice)
    digest = re.search(r"^sha256 +([0-9a-f]{64})$", notice, re.MULTILINE)
    assert named
    assert digest
    assert hashlib.sha256(library).hexdigest() == digest[1]
    assert library.decode().startswith(f"/*! OpenAPI Explorer {named[1]} ")
    assert re.search(r"^licence +Apache License 2\.0", notice, re.MULTILINE)


def test_the_viewer_is_small_in_the_package() -> None:
    # As the zip compresses it (deflate, level 6).
    assert sum(len(zlib.compress(file.read_bytes())) for file in DOCS.iterdir()) < BUDGET


def test_the_pages_name_no_other_host() -> None:
    ours = [DOCS / "index.html", DOCS / "viewer.js"]
    found = {file.name: re.findall(r"\w+://[^\s\"'`]+", file.read_text()) for file in ours}
    assert found == {"index.html": [], "viewer.js": []}
