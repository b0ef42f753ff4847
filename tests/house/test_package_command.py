"""scripts/package.sh: what is deployed, or one reason why there is nothing."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from localdev.deploy import package
from localdev.errors import StackError
from tests.packages import DATABASE, configure, copied

if TYPE_CHECKING:
    from pathlib import Path

#: Where an ELF file names its machine, and 64-bit Arm there. Source: elf(5), e_machine.
MACHINE, AARCH64 = slice(18, 20), 183


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An app whose stage prod has a database, and which has no requirements."""
    app = copied(tmp_path, bare=True)
    monkeypatch.setattr(package, "APP", app)
    return app


def test_zip_and_template_are_made_and_said_to_be_so(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app
    out = tmp_path / "a folder" / "out"
    assert package.main(["prod", str(out)]) == 0
    template = json.loads((out / "sam.json").read_text(encoding="utf-8"))
    assert template["Resources"]["Worker"]["Properties"]["CodeUri"] == "./deployment.zip"
    assert "TasksDeadLetterQueue" in template["Resources"]
    code = (out / "deployment.zip").read_bytes()
    told = capsys.readouterr()
    assert told.err.startswith("packaging stage prod")
    assert told.out.splitlines() == [
        str(out / "sam.json"),
        f"{out / 'deployment.zip'}  {len(code):,} bytes",
        f"sha256 {hashlib.sha256(code).hexdigest()}",
    ]


@pytest.mark.parametrize(
    ("stage", "message"),
    [("test", "there is no stage test .* dev, prod"), ("dev", "Stage dev: it has no database")],
)
def test_a_stage_that_cannot_work_is_not_packaged(
    app: Path, tmp_path: Path, stage: str, message: str
) -> None:
    assert app
    with pytest.raises(StackError, match=message):
        package.main([stage, str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_stage_without_a_verified_certificate_is_not_packaged(app: Path, tmp_path: Path) -> None:
    configure(app, {"DATABASE_TLS": ""})
    with pytest.raises(StackError, match="Stage prod: Not safe in Lambda:\nDATABASE_TLS: "):
        package.main(["prod", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.timeout(300)
def test_arm64_is_packaged_where_psycopg2_has_a_wheel_for_it_and_refused_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, out = copied(tmp_path), tmp_path / "out"
    configure(app, DATABASE, lambda_architecture="arm64")
    monkeypatch.setattr(package, "APP", app)
    if sys.version_info < (3, 12):
        with pytest.raises(StackError, match=r"no wheel of psycopg2.binary.*3\.12 or newer"):
            package.main(["prod", str(out)])
        assert not out.exists()
        return
    assert package.main(["prod", str(out)]) == 0
    template = json.loads((out / "sam.json").read_text(encoding="utf-8"))
    assert template["Resources"]["Worker"]["Properties"]["Architectures"] == ["arm64"]
    with zipfile.ZipFile(out / "deployment.zip") as archive:
        [library] = [one for one in archive.namelist() if re.match(r"psycopg2/_psycopg\.", one)]
        machine = archive.read(library)[MACHINE]
    assert int.from_bytes(machine, "little") == AARCH64
