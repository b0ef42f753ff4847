"""A tenant's files, in a folder and in S3 over the wire."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import GiveUp
from chalicelib.files import checked_name, files_of
from chalicelib.files.s3 import PART
from tests import s3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chalicelib.files import Files

    Of = Callable[[str], Files]


WHY = r"must|slashes"


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with s3.server() as client:
        yield client


@pytest.fixture(params=["folder", "s3"])
def of(request: pytest.FixtureRequest, tmp_path: Path, client: Any) -> Of:
    """The files of a tenant, by its name."""
    place = str(tmp_path / "files") if request.param == "folder" else s3.place()
    return lambda tenant: files_of(place, tenant, lambda: client)


def put(files: Files, name: str, data: bytes) -> None:
    with files.write(name) as file:
        file.write(data)


def get(files: Files, name: str) -> bytes:
    with files.read(name) as (file, size):
        data: bytes = file.read()
    assert len(data) == size
    return data


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART + 5])
def test_a_file_is_read_as_it_was_written(of: Of, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    put(of("ours"), "in/some/folder.csv", data[:size])
    assert get(of("ours"), "in/some/folder.csv") == data[:size]


def test_a_file_is_written_by_text_and_read_by_lines(of: Of) -> None:
    with of("ours").write("a.txt") as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        text.writelines(f"{number} ä\r\n" for number in range(300_000))
        text.flush()
        text.detach()
    with of("ours").read("a.txt") as (file, _):
        text = io.TextIOWrapper(file, encoding="utf-8")
        lines = sum(1 for _ in text)
        text.detach()
    assert lines == 300_000


def test_a_tenant_has_files_of_its_own(of: Of) -> None:
    put(of("ours"), "a", b"ours")
    put(of("theirs"), "a", b"theirs")
    put(of("our"), "s/b", b"not ours")
    assert get(of("ours"), "a") == b"ours"
    with pytest.raises(GiveUp, match="no file"), of("ours").read("b"):
        pass


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_a_write_that_breaks_off_leaves_what_was_there_and_nothing_else(
    of: Of, size: int, client: Any, tmp_path: Path
) -> None:
    put(of("ours"), "a", b"before")

    def broken() -> None:
        with of("ours").write("a") as file:
            file.write(b"x" * size)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert get(of("ours"), "a") == b"before"
    assert "Uploads" not in client.list_multipart_uploads(Bucket=s3.BUCKET)
    assert [path.name for path in tmp_path.rglob("*") if path.name.startswith(".part")] == []


def test_a_file_that_is_written_anew_is_the_old_one_until_it_is_whole(of: Of) -> None:
    put(of("ours"), "a", b"before")
    with of("ours").write("a") as file:
        file.write(b"x" * 2 * PART)
        assert get(of("ours"), "a") == b"before"
    assert len(get(of("ours"), "a")) == 2 * PART


def test_a_file_that_is_not_there_ends_the_task(of: Of) -> None:
    with pytest.raises(GiveUp, match="no file 'a'"), of("ours").read("a"):
        pass


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../theirs/a",
        "a/../../theirs/a",
        "a/..",
        ".",
        "./a",
        "a//b",
        "a/",
        ".hidden",
        "a/.part-x",
        "..\\a",
        "a\0b",
        "a\nb",
        "\ud800",
        "a" * 201,
        "ä" * 101,
        "a/" * 250 + "a",
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(of: Of, name: str) -> None:
    with pytest.raises(ValueError, match=WHY):
        checked_name(name)
    with pytest.raises(ValueError, match=WHY), of("ours").read(name):
        pass
    with pytest.raises(ValueError, match=WHY), of("ours").write(name):
        pass


def test_a_link_does_not_lead_out_of_a_tenants_folder(tmp_path: Path) -> None:
    put(files_of(str(tmp_path), "theirs", dict), "a", b"theirs")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "link").symlink_to(tmp_path / "theirs")
    ours = files_of(str(tmp_path), "ours", dict)
    with pytest.raises(GiveUp, match="no file"), ours.read("link/a"):
        pass
    with pytest.raises(GiveUp, match="no file"), ours.write("link/b"):
        pass
    assert not (tmp_path / "theirs" / "b").exists()


def test_a_name_that_is_a_folder_and_a_part_that_is_a_file_are_told(tmp_path: Path) -> None:
    ours = files_of(str(tmp_path), "ours", dict)
    put(ours, "a/b", b"")
    with pytest.raises(GiveUp, match="is a folder"), ours.write("a"):
        pass
    with pytest.raises(GiveUp, match="is a file"), ours.write("a/b/c"):
        pass
    with pytest.raises(GiveUp, match="no file"), ours.read("a"):
        pass


def test_without_a_place_the_task_says_which_setting_is_missing() -> None:
    with pytest.raises(GiveUp, match="FILES"):
        files_of("", "ours", dict)
