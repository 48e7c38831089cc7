"""Read CSV files supplied by the user, row by row, with a size limit; escape cells of our own."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from srgan.system.errors import Skip, UserError, reason, visible
from srgan.system.files import read_bounded

MAX_TABLE = 8 << 20  # bytes: 100,000 rows of a series UID and a patient
MAX_ROWS = 200_000
FORMULAS = ("=", "+", "-", "@")  # what a spreadsheet would run


def named(option: str, path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """`rows` of a table that an option of the command line names.

    Raises UserError where it cannot be read, has other columns or is too large.
    """
    try:
        yield from rows(read_bounded(path, MAX_TABLE), columns)
    except OSError as error:
        raise UserError(f"{option} {path} cannot be read: {reason(error)}") from None
    except Skip as skip:
        raise UserError(f"{option} {path}: {skip.detail}") from None
    except ValueError as error:
        raise UserError(f"{option} {path}: not a CSV table in UTF-8 ({error})") from None


def rows(
    content: bytes, columns: Sequence[str], strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells of `columns`) of each row that is not empty; a missing cell is "".

    Raises Skip where a column is missing or there are too many rows, and ValueError where it is not
    CSV in UTF-8. With strict=False, wrong quotes and bytes that are not UTF-8 are no error.
    """
    errors = "strict" if strict else "replace"
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", errors, newline="")
    table = csv.reader(text, strict=strict)
    try:
        names = [name.strip() for name in next(table, [])]
        missing = [name for name in columns if name not in names]
        if missing:
            raise Skip("another table", f"there is no column {', '.join(missing)}")
        places = [names.index(name) for name in columns]
        for n, row in enumerate(filter(None, table)):
            if n == MAX_ROWS:
                raise Skip("too large", f"more than {MAX_ROWS} rows")
            yield table.line_num, [row[p] if p < len(row) else "" for p in places]
    except csv.Error as error:
        raise ValueError(str(error)) from None


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
