"""Compare the numbers in the tables of a report page with summary.json."""

import html
import json
import re
from collections.abc import Iterator

TABLE = r'<table data-level="([^"]*)">(.*?)</table>'
ROW = r'<tr data-row="([^"]*)">(.*?)</tr>'
CELL = r'<td data-key="([^"]+)" data-value="([^"]*)"[^>]*>(.*?)</td>'
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:e[+-]\d+)?")


def cells_of(page: str) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Level, row and key of each cell with a key; its value as held, as shown, and below that."""
    for level, table in re.findall(TABLE, page, re.S):
        for row, cells in re.findall(ROW, table, re.S):
            for key, held, inside in re.findall(CELL, cells, re.S):
                shown, _, under = inside.partition("<small>")
                shown = re.sub(r'<span class="unseen">.*?</span>|<[^>]*>', "", shown).strip()
                place = (level, row, key, held)
                yield *map(html.unescape, place), html.unescape(shown), under


def check_cells(page: str, summary: dict) -> dict[str, int]:
    """Every number of the page's tables is that of summary.json, as shown and as held.

    Returns how many cells of each kind had a number, and how many intervals stood below one.
    """
    cells = list(cells_of(page))
    names = dict.fromkeys(cell[0] for cell in cells)
    levels = dict(zip(names, summary.get("levels", [summary]), strict=True))
    checked = dict.fromkeys(("metrics", "intervals", "compared", "nodules", "below"), 0)
    for level, row, key, held, shown, under in cells:
        value, interval = _expected(levels[level], row, key)
        assert json.loads(held) == value, (level, row, key)
        if value is None:
            assert shown in ("\N{EN DASH}", "inf"), (level, row, key)
            continue
        kind = key.split("/")[0]
        checked[kind if kind in checked else "metrics"] += 1
        first, *others = NUMBER.findall(shown)
        _check(first, value)
        if kind == "intervals" and interval["sd"] is not None:
            _check(others[0], interval["sd"])
        ends = NUMBER.findall(under)
        wanted = [interval[end] for end in ("low", "high") if interval.get(end) is not None]
        checked["below"] += bool(ends)
        for end, of in zip(ends, wanted, strict=True):
            _check(end, of)
    return checked


def _expected(level: dict, row: str, key: str) -> tuple[float | None, dict]:
    """What summary.json has for a cell, and the interval that belongs to it."""
    said = level["conclusions"]
    match key.split("/"):
        case ["intervals", metric, _]:
            interval = said["intervals"][row].get(metric, {})
            return interval.get("mean"), interval
        case ["compared", other, metric, what]:
            found = said["compared"].get(row, {}).get(other, {}).get(metric, {})
            difference = found.get("difference", {})
            return (found.get("p"), {}) if what == "p" else (difference.get("mean"), difference)
        case ["nodules", name]:
            return level["nodules"]["methods"][row][name], {}
    value = (level["methods"] | {"normal dose": level["normal_dose"]})[row]
    for name in key.split("."):
        value = (value or {}).get(name)
    return value, said["intervals"].get(row, {}).get(key, {})


def _check(shown: str, value: float) -> None:
    digits = len(shown.partition(".")[2].partition("e")[0])
    exponent = int(shown.partition("e")[2] or 0)
    assert abs(float(shown) - value) <= 0.5001 * 10.0 ** (exponent - digits), (shown, value)
