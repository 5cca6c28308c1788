"""Lists as files: CSV and Excel, written row by row into a temporary file, so that memory does not grow with the list.

People get words: heads, statuses and other choices, and tags are told in their language.  Programs get the names of
fields and the codes (`heads=names`).  In Excel a cell is what its field is: numbers, days and moments (in the company's
zone, which the heading names) can be calculated with, text stays as it was typed and is never a formula.  In CSV
everything is text, moments in UTC by RFC 3339: what a spreadsheet would take for a formula has an apostrophe before it.
What a format can't hold is told, on the second sheet, "About", and in a header of the answer.
"""

import csv
import io
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache, partial
from typing import IO, Any, Protocol
from weakref import finalize

import msgspec
from bson import Decimal128

from chassis.model.row_fields import FieldType
from chassis.model.wording import Wording
from contracts.errors import Refused
from contracts.text import is_invisible

EXPORT_LIMIT = 100_000
BYTES_LIMIT = 200_000_000
CELL_LIMIT = 32_767
"""The longest text of a cell, in UTF-16 units: Excel's own limit."""
PIECE = 65_536
AT_ONCE = 2
REPLACED = "\N{REPLACEMENT CHARACTER}"
LONGEST_TITLE = 31
_NO_TITLE = re.compile(r"[\[\]:*?/\\']")
"""What the name of a sheet may not have in it."""
FIRST_DAY = date(1900, 1, 1)
CELLS_KEPT = 20_000
"""So many numbers and days are remembered as what they are in a cell: most come again."""
EXACT_DIGITS = 15
"""How many digits a cell's number keeps; a longer one is written as text."""

_UNHOLDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_BEGINS_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\t\r\n")
MOST_SHOWN_DECIMALS = 30
LARGEST_POWER = 300
"""What a cell's format and its number can tell; beyond them they are written as text."""
Document = dict[str, Any]


class FileBody:
    """A file as the body of an answer, in pieces.  It is gone when it was read or closed."""

    def __init__(self, file: IO[bytes], headers: Mapping[str, str], closed: Callable[[], None] = lambda: None) -> None:
        self.headers = headers
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._file = file
        self._end = finalize(self, _end, file, closed)  # also when nobody reads it

    def __iter__(self) -> Iterator[bytes]:
        try:
            while piece := self._file.read(PIECE):
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        self._end()


def _end(file: IO[bytes], closed: Callable[[], None]) -> None:
    try:
        file.close()
    finally:
        closed()


class Places:
    """How many exports there are at once, from the first row to the last byte: one of a caller, few in a process."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._taken: set[object] = set()  # without a lock: nothing in `take` waits, and giving back is one step

    def take(self, caller: object) -> Callable[[], None]:
        """Take a place; what is returned gives it back.  Raises Refused RATE_LIMITED or OVERLOADED."""
        if caller in self._taken:
            raise Refused("lists.export_under_way")
        if len(self._taken) >= self._at_once:
            raise Refused("lists.exports_under_way", count=self._at_once)
        self._taken.add(caller)
        return partial(self._taken.discard, caller)


@dataclass(frozen=True)
class Column:
    """One column: the field it is of, its kind, what stands in it of a row, that field if nothing else, and its head,
    the field's name if nothing else."""

    name: str
    type: FieldType
    value: Callable[[Mapping[str, Any]], Any] | None = None
    head: str = ""

    @property
    def heading(self) -> str:
        return self.head or self.name

    def of(self, row: Mapping[str, Any]) -> Any:
        return self.value(row) if self.value else row.get(self.name)


def told_apart(columns: Iterable[Column]) -> list[Column]:
    """The columns with heads of which no two are the same: a field's name stands behind what came before."""
    taken: set[str] = set()
    found = []
    for column in columns:
        head = f"{column.heading} ({column.name})" if column.heading in taken else column.heading
        taken.add(head)
        found.append(replace(column, head=head))
    return found


def in_words(column: Column, wording: Wording, said: Mapping[str, str]) -> Column:
    """The column with what its codes are `said` to be, and with lists as one text; what else stands in it as it is."""
    if column.type.kind != "list" and not said:
        return column

    def value(row: Mapping[str, Any]) -> Any:
        held = column.of(row)
        if isinstance(held, str):
            return said.get(held, held)
        if isinstance(held, list) and all(isinstance(one, str | int) for one in held):
            return wording.joined(said.get(str(one), one) for one in held)
        return held

    return replace(column, value=value, type=FieldType("text"))


@dataclass
class Told:
    """What the file could not hold as it is."""

    rows: int = 0
    replaced: int = 0
    cut: int = 0

    def headers(self) -> dict[str, str]:
        found = {"Rows": self.rows, "Replaced-Cells": self.replaced, "Cut-Cells": self.cut}
        return {f"Salestream-Export-{name}": str(number) for name, number in found.items() if number or name == "Rows"}


class Sheet(Protocol):
    """A file being written; `told` says what it could not hold."""

    told: Told

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Write some rows: values as MongoDB keeps them, one for each column."""

    def finish(self, about: Mapping[str, str]) -> IO[bytes]:
        """End the file."""

    def abandon(self) -> None:
        """Leave nothing behind."""


def holdable(text: str, told: Told) -> str:
    """The text with a mark in place of each character that neither XML nor UTF-8 can hold."""
    if text.isprintable() or not _UNHOLDABLE.search(text):  # none of those can be printed
        return text
    told.replaced += 1
    return _UNHOLDABLE.sub(REPLACED, text)


def could_run(text: str) -> bool:
    """Whether a spreadsheet may take it for a formula, whatever stands unseen before it."""
    for ch in text:
        if ch in _BEGINS_FORMULA:
            return True
        if not (ch.isspace() or is_invisible(ch)):
            break
    return False


def as_text(value: Any) -> str:
    """A value of no simple kind as text: parts, lists and flags as JSON has them."""
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list | bool) else str(value)


class CsvSheet:
    """CSV in UTF-8 with a mark before it, by which Excel reads Chinese and Japanese.

    Text that starts like a formula, also in full width or after what is not seen, has an apostrophe before it.
    """

    def __init__(self, columns: Sequence[Column], plain: Callable[[Any], Any]) -> None:
        self.told = Told()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives until it is sent
        self._plain = plain
        self._free = [column.type.kind in ("text", "code", "list", "object") for column in columns]
        self._file.write(b"\xef\xbb\xbf")
        self._write([[self._cell(column.heading, True) for column in columns]])  # some heads people have typed

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        self.told.rows += len(rows)
        self._write([[self._cell(*pair) for pair in zip(row, self._free, strict=True)] for row in rows])
        _require_room(self._file)

    def _write(self, rows: Sequence[Sequence[Any]]) -> None:
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        self._file.write(out.getvalue().encode())

    def _cell(self, value: Any, free: bool) -> Any:
        if not isinstance(value, str):
            value = self._plain(value)
            if isinstance(value, dict | list | bool):
                value = as_text(value)
            elif not isinstance(value, str):
                return value
        if value.isprintable() and (not free or value[:1].isalnum()):  # nearly all are such
            return value
        text = holdable(value, self.told)
        return f"'{text}" if free and could_run(text) else text

    def finish(self, about: Mapping[str, str]) -> IO[bytes]:
        return self._file

    def abandon(self) -> None:
        self._file.close()


class ExcelSheet:
    """An Excel workbook: the rows on its first sheet, what is to be known of them on its second, "About"."""

    def __init__(
        self, title: str, columns: Sequence[Column], plain: Callable[[Any], Any], zone: tzinfo, wording: Wording
    ) -> None:
        from xlsxwriter import Workbook  # noqa: PLC0415 - a tenth of an api's start, and seldom needed

        self.told = Told()
        self._columns = columns
        self._plain = plain
        self._zone = zone
        self._say = wording.sheet
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives until it is sent
        self._folder = tempfile.TemporaryDirectory()  # of the rows, until they are packed
        self._book = Workbook(self._file, {"constant_memory": True, "tmpdir": self._folder.name})
        self._sheet = self._book.add_worksheet(_NO_TITLE.sub(" ", title)[:LONGEST_TITLE])
        self._about = self._book.add_worksheet(self._say("sheet_about"))
        self._formats: dict[str, Any] = {}
        for number, column in enumerate(columns):
            self._sheet.write_string(0, number, self._heading(column))

    def _heading(self, column: Column) -> str:
        """A cell of a moment can't tell its zone, so the heading does."""
        return f"{column.heading} ({self._zone})" if column.type.kind == "moment" else column.heading

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            self.told.rows += 1
            for number, value in enumerate(row):
                if value is not None:
                    self._write(self.told.rows, number, value, self._columns[number].type.kind)
        _require_room(self._sheet.row_data_fh)

    def _write(self, row: int, column: int, value: Any, kind: str) -> None:
        sheet = self._sheet
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif kind in ("amount", "whole") and (found := _number(value)) is not None:
            number, decimals = found
            sheet.write_number(row, column, number, self._format("0." + "0" * decimals if decimals else "0"))
        elif kind == "day" and isinstance(value, str) and (day := _day(value)) is not None:
            sheet.write_datetime(row, column, day, self._format("yyyy-mm-dd"))
        elif isinstance(value, datetime):
            local = value.astimezone(self._zone).replace(tzinfo=None)
            sheet.write_datetime(row, column, local, self._format("yyyy-mm-dd hh:mm:ss"))
        else:
            sheet.write_string(row, column, self._text(value))

    def _text(self, value: Any) -> str:
        text = holdable(as_text(self._plain(value)), self.told)
        if 2 * len(text) <= CELL_LIMIT or len(text.encode("utf-16-le")) // 2 <= CELL_LIMIT:
            return text
        self.told.cut += 1
        mark = " " + self._say("sheet_mark")
        kept = text.encode("utf-16-le")[: 2 * (CELL_LIMIT - len(mark))].decode("utf-16-le", errors="ignore")
        return kept + mark

    def _format(self, pattern: str) -> Any:
        if pattern not in self._formats:
            self._formats[pattern] = self._book.add_format({"num_format": pattern})
        return self._formats[pattern]

    def finish(self, about: Mapping[str, str]) -> IO[bytes]:
        heads = {column.heading: column.name for column in self._columns if column.heading != column.name}
        lines = {
            **about,
            **{f"{self._say('sheet_column')} {head}": name for head, name in heads.items()},
            self._say("sheet_rows"): str(self.told.rows),
            self._say("sheet_zone"): str(self._zone),
            self._say("sheet_replaced", mark=REPLACED): str(self.told.replaced),
            self._say("sheet_cut", most=str(CELL_LIMIT)): str(self.told.cut),
        }
        for row, (name, text) in enumerate(lines.items()):
            self._about.write_string(row, 0, self._text(name))
            self._about.write_string(row, 1, self._text(text))
        self._book.close()
        self._folder.cleanup()
        return self._file

    def abandon(self) -> None:
        self._book.fileclosed = True  # else it would be packed when it is forgotten
        self._folder.cleanup()
        self._file.close()


def _number(value: Any) -> tuple[Decimal | int, int] | None:
    """The number of a cell and how many decimals it shows; None when a cell can't keep all its digits."""
    if isinstance(value, Decimal128):
        return _amount(value.bid)
    if isinstance(value, int):
        return (value, 0) if len(str(abs(value))) <= EXACT_DIGITS else None
    return _in_a_cell(Decimal(value)) if isinstance(value, str | Decimal) else None


@lru_cache(CELLS_KEPT)
def _amount(octets: bytes) -> tuple[Decimal, int] | None:
    """As `_number`, of the octets of an amount: equal amounts may show other decimals."""
    return _in_a_cell(Decimal128.from_bid(octets).to_decimal())


def _in_a_cell(number: Decimal) -> tuple[Decimal, int] | None:
    if not number.is_finite() or abs(number.adjusted()) > LARGEST_POWER:
        return None
    told = number.as_tuple()
    decimals = max(0, -int(told.exponent))
    return (number, decimals) if len(told.digits) <= EXACT_DIGITS and decimals <= MOST_SHOWN_DECIMALS else None


@lru_cache(CELLS_KEPT)
def _day(text: str) -> date | None:
    """The day of a cell; None for one that Excel does not know, and for what is none."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day >= FIRST_DAY else None


def _require_room(file: Any) -> None:
    if file is not None and file.tell() > BYTES_LIMIT:
        raise Refused("lists.export_bytes", most=BYTES_LIMIT // 1_000_000, field="format")  # nothing is cut silently


def stamp(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else ""
