"""CSV (RFC 4180) and JSON lines, read and written row by row; what cannot be is a GiveUp.

No row is held that is longer than MAX_ROW, so a file of any size takes the same memory.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import zlib
from typing import TYPE_CHECKING, Any, Literal

from chalicelib.errors import GiveUp
from chalicelib.expressions import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Row = dict[str, Any]

Format = Literal["csv", "jsonl"]

#: The longest row, in characters; in a CSV it may have many lines.
MAX_ROW = 1024 * 1024
MAX_COLUMNS = 1000
_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def format_of(name: str) -> Format | None:
    """Return the format that a file's name tells, ``.gz`` aside, or None."""
    plain = name.lower().removesuffix(".gz")
    return next((one for ending, one in _ENDINGS.items() if plain.endswith(ending)), None)


def unpacked(name: str, file: Any) -> Any:
    """Return what is in a file for reading: of a name in ``.gz`` what gzip has packed."""
    return gzip.GzipFile(fileobj=file) if name.lower().endswith(".gz") else file


class Source:
    """The rows of an open file; ``columns`` are those of a CSV's first line, None of JSON lines."""

    def __init__(self, file: Any, kind: Format) -> None:
        """Take the file, whose bytes are UTF-8, and read a CSV's first line. Raises GiveUp."""
        self.number = 0  # of the row that was read last
        self.columns: list[str] | None = None
        self._length = 0  # of the row that is being read
        self._text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        self._cells = csv.reader(self._lines(), strict=True)
        if kind == "csv":
            self.columns = self._header()

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows. Raises GiveUp, which names the row, for one that cannot be read."""
        rows = self._of_csv(self.columns) if self.columns is not None else self._of_json()
        try:
            yield from rows
        except (csv.Error, UnicodeDecodeError, ValueError, RecursionError) as error:
            raise GiveUp(f"Row {self.number + 1} cannot be read: {_why(error)}.") from None
        except (gzip.BadGzipFile, zlib.error, EOFError):
            raise GiveUp(f"The file is no whole gzip file, after row {self.number}.") from None

    def _of_csv(self, columns: Sequence[str]) -> Iterator[Row]:
        width = len(columns)
        for cells in self._cells:
            self._length = 0
            if len(cells) != width:
                if not cells:
                    continue
                raise ValueError(f"it has {len(cells)} cells, the first line {width}")
            self.number += 1
            yield dict(zip(columns, cells, strict=True))

    def _of_json(self) -> Iterator[Row]:
        read = json.JSONDecoder(parse_constant=_refuse).decode
        for line in self._lines():
            self._length = 0
            if line.isspace():
                continue
            row = read(line)
            if type(row) is not dict:
                raise ValueError("it is no JSON object")
            if len(row) > MAX_COLUMNS:
                raise ValueError(f"it has more than {MAX_COLUMNS:,} columns")
            self.number += 1
            yield row

    def _header(self) -> list[str]:
        try:
            columns = next(self._cells, [])
        except (csv.Error, UnicodeDecodeError, ValueError) as error:
            raise GiveUp(f"The first line cannot be read: {_why(error)}.") from None
        except (gzip.BadGzipFile, zlib.error, EOFError):
            raise GiveUp("The file is no gzip file.") from None
        self._length = 0
        if not columns:
            raise GiveUp("The file has no first line with the names of its columns.")
        if len(columns) > MAX_COLUMNS:
            raise GiveUp(f"The file has more than {MAX_COLUMNS:,} columns.")
        if len(set(columns)) < len(columns):
            raise GiveUp("Two columns of the file have the same name.")
        return columns

    def _lines(self) -> Iterator[str]:
        read = self._text.readline
        while line := read(MAX_ROW + 1):
            self._length += len(line)
            if self._length > MAX_ROW:
                raise ValueError(f"it has more than {MAX_ROW:,} characters")
            yield line


class Target:
    """Rows on their way into an open file; the same rows make the same bytes."""

    def __init__(self, file: Any, name: str, kind: Format, columns: Sequence[str] | None) -> None:
        """Take the file and the columns, if they are known before the first row."""
        self.number = 0
        # Without a time and a name in its head, so that a repeated attempt writes the same.
        self._packed = (
            gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=6)
            if name.lower().endswith(".gz")
            else None
        )
        self._text = io.TextIOWrapper(
            self._packed or file, encoding="utf-8", newline="", write_through=False
        )
        self._csv = csv.writer(self._text) if kind == "csv" else None
        self._columns = list(columns) if columns is not None else None
        self._names = frozenset(columns or ())
        if self._csv and self._columns is not None:
            self._csv.writerow(self._columns)
        self._encode = json.JSONEncoder(
            ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode

    def write(self, row: Row) -> None:
        """Write a row. Raises GiveUp for one that has other columns than a CSV's first."""
        self.number += 1
        try:
            if self._csv:
                self._csv.writerow(self._cells(row))
            else:
                self._text.write(self._encode(row) + "\n")
        except (ValueError, RecursionError) as error:
            raise GiveUp(f"Row {self.number} cannot be written: {_why(error)}.") from None

    def finish(self) -> None:
        """Write what is still waiting; the file itself stays open."""
        self._text.flush()
        self._text.detach()
        if self._packed:
            self._packed.close()

    def _cells(self, row: Row) -> list[Any]:
        if self._columns is None:
            self._columns, self._names = list(row), frozenset(row)
            if self._csv:
                self._csv.writerow(self._columns)
        if len(row) > len(self._columns) or not self._names.issuperset(row):
            raise ValueError("it has a column that the first row has not; select the columns")
        return [_cell(row.get(name)) for name in self._columns]


def _cell(value: Any) -> Any:
    if type(value) is str:
        return value
    if value is None:
        return ""
    if type(value) in NUMBERS:
        if not math.isfinite(value):
            raise ValueError("a number is too large")
        return repr(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _refuse(_: str) -> Any:
    raise ValueError("it has a number that JSON does not know")


def _why(error: Exception) -> str:
    # None of these is to quote the file.
    match error:
        case UnicodeError():
            return "it is not UTF-8"
        case json.JSONDecodeError():
            return "it is not JSON"
        case RecursionError():
            return "it is nested too deeply"
        case csv.Error():
            return "it is not CSV"
        case _:
            return str(error)
