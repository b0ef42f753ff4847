"""What others wrote and we ship is what its notice says, and small."""

from __future__ import annotations

import hashlib
import re
import zlib

from cryptography import x509

from tests.tree import ROOT

CERTIFICATES = ROOT / "chalice_app" / "chalicelib" / "certificates"
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


def test_the_roots_of_rds_are_the_ones_that_their_notice_names() -> None:
    notice = (CERTIFICATES / "NOTICE").read_text(encoding="utf-8")
    digest = re.search(r"^sha256 +([0-9a-f]{64})$", notice, re.MULTILINE)
    assert digest
    assert hashlib.sha256((CERTIFICATES / "rds.pem").read_bytes()).hexdigest() == digest[1]


def test_the_roots_of_rds_are_amazons_self_signed_and_live_long() -> None:
    roots = x509.load_pem_x509_certificates((CERTIFICATES / "rds.pem").read_bytes())
    assert len(roots) == 81
    for root in roots:
        root.verify_directly_issued_by(root)
        (name,) = root.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        assert re.fullmatch(r"Amazon RDS [a-z]+-[a-z]+-\d Root CA \w+ G1", str(name.value))
        assert root.not_valid_after_utc.year > 2060
