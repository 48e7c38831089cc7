"""Read CSV files supplied by the user, row by row, with a size limit; escape cells of our own."""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from srgan.system.errors import Skip, UserError, one_line, reason, visible
from srgan.system.files import read_bounded

MAX_TABLE = 8 << 20  # bytes: 100,000 rows of a series UID and a patient
MAX_ROWS = 200_000
SEPARATORS = ",;\t"
IGNORED = re.compile(r"[\s._-]+")  # in the names of columns
WORKBOOK = b"PK\x03\x04"  # an .xlsx is a zip
FORMULAS = ("=", "+", "-", "@")  # what a spreadsheet would run


def named(
    option: str, path: Path, columns: Sequence[tuple[str, ...]]
) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells of `columns`) of each row of a table that an option names.

    columns: of each the name that we use, then others that it may have. Names are compared without
    case, blanks, dots, underscores and dashes. The separator is told from the header row: comma,
    semicolon or tab. Rows without any text are left out; a missing cell is "".

    Raises UserError where the table cannot be read, has other columns or is too large.
    """
    try:
        text = _decoded(read_bounded(path, MAX_TABLE))
        names, table = _opened(text, columns)
        places = _places(names, columns)
        yield from _cells((row for row in table if any(map(str.strip, row))), table, places)
    except OSError as error:
        raise UserError(f"{option} {path} cannot be read: {reason(error)}") from None
    except Skip as skip:
        raise UserError(f"{option} {path}: {skip.detail}") from None
    except ValueError as error:
        raise UserError(f"{option} {path}: not a CSV table in UTF-8 ({error})") from None


def rows(content: bytes, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """`named` for a table with exactly these names and commas, which nobody's option names.

    Raises Skip where a column is missing or there are too many rows, and ValueError where it is not
    CSV. Wrong quotes and bytes that are not UTF-8 are no error.
    """
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", "replace", newline="")
    table = csv.reader(text)
    try:
        names = [name.strip() for name in next(table, [])]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    missing = [name for name in columns if name not in names]
    if missing:
        raise Skip("another table", f"there is no column {', '.join(missing)}")
    yield from _cells(filter(None, table), table, [names.index(name) for name in columns])


def _cells(rows: Iterable[list[str]], table, places: list[int]) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells at `places`) of the rows of `table`, a csv.reader."""
    try:
        for n, row in enumerate(rows):
            if n == MAX_ROWS:
                raise Skip("too large", f"more than {MAX_ROWS} rows")
            yield table.line_num, [row[p] if p < len(row) else "" for p in places]
    except csv.Error as error:
        raise ValueError(str(error)) from None


# ---- the header of a user's table ----


def _decoded(content: bytes) -> str:
    """The text of a table in UTF-8, or in UTF-16 as Excel writes "Unicode text"."""
    if content.startswith(WORKBOOK):
        raise Skip("another table", "this is an Excel workbook or an archive: save it as CSV")
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if utf16 else "utf-8-sig")


def _opened(text: str, columns: Sequence[tuple[str, ...]]):
    """(names of the columns, csv.reader of the rows below) by the separator that fits best.

    It is the one with which most of `columns` are there; of two the one that makes more columns.
    """
    opened, error = [], None
    for separator in SEPARATORS:
        table = csv.reader(
            io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True
        )
        try:
            names = _header(table)
        except csv.Error as fault:  # "a";"b" with commas
            error = error or fault
        else:
            opened.append((names, table))
    if not opened:
        raise ValueError(str(error))
    return max(
        opened, key=lambda it: (sum(bool(_candidates(it[0], c)) for c in columns), len(it[0]))
    )


def _header(table: Iterator[list[str]]) -> list[str]:
    """The first row with any text, after the line `sep=;` that is for Excel alone."""
    for row in table:
        if any(map(str.strip, row)) and not row[0].lower().startswith("sep="):
            return [name.strip() for name in row]
    return []


def _places(names: list[str], columns: Sequence[tuple[str, ...]]) -> list[int]:
    """Where each column is. Raises Skip where one is missing or could be either of two."""
    found = [_candidates(names, column) for column in columns]
    missing = [column for column, places in zip(columns, found, strict=True) if not places]
    if missing:
        wanted = " and ".join(f"{first} (or {', '.join(more)})" for first, *more in missing)
        there = ", ".join(one_line(name, 40) for name in names[:12]) or "none"
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        raise Skip("another table", f"there is no column {wanted}; its columns: {there}{more}")
    for column, places in zip(columns, found, strict=True):
        if len(places) > 1:
            two = " and ".join(repr(one_line(names[p], 40)) for p in places[:2])
            raise Skip(
                "another table",
                f"the columns {two} could both be {column[0]}: name the right one {column[0]}",
            )
    return [places[0] for places in found]


def _candidates(names: list[str], column: tuple[str, ...]) -> list[int]:
    """Where a column may be: under our own name, else under any of its names."""
    own = [i for i, name in enumerate(names) if name == column[0]]
    wanted = set(map(_folded, column))
    return own or [i for i, name in enumerate(names) if _folded(name) in wanted]


def _folded(name: str) -> str:
    return IGNORED.sub("", name).casefold()


# ---- our own cells ----


def escaped_id(text: str) -> str:
    """An id for a cell: with ' before what a spreadsheet would take for a formula."""
    return "'" + text if text.startswith((*FORMULAS, "'")) else text


def plain_id(text: str) -> str:
    """The inverse of `escaped_id`; a plain id stays as it is."""
    return text[1:] if text[:1] == "'" and text[1:].startswith((*FORMULAS, "'")) else text


def visible_cell(value: object) -> str:
    """Any text for a cell that is only read by people: on one line, and no formula."""
    text = visible(value)
    return f"'{text}" if text.startswith((*FORMULAS, "\\")) else text
