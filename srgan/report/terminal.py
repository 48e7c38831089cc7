"""What `--run test` prints: one screen, or every table with --details."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby, zip_longest
from pathlib import Path

from srgan.evaluation import checks
from srgan.evaluation.conclusions import MAIN_METRIC, Conclusions
from srgan.evaluation.level import Level
from srgan.evaluation.nodule_study import NoduleStudy
from srgan.evaluation.study import NORMAL_DOSE
from srgan.lowdose import photon_cache
from srgan.lowdose.level_names import column_head, differing, short_name
from srgan.metrics import intervals
from srgan.metrics.intervals import Interval
from srgan.report.about import About, checkpoint_remark, counted, discs_remark
from srgan.report.columns import (
    IN_LUNG,
    MAIN,
    Column,
    measured_columns,
    subjects,
    value_of,
    written,
)
from srgan.report.nodule_tables import counted as nodules_counted
from srgan.report.nodule_tables import table as nodule_table
from srgan.report.strength_tables import NOTE as STRENGTH_NOTE
from srgan.report.strength_tables import table as strength_table
from srgan.report.verdict_sentence import verdict_sentences

SCREEN, WIDE = 80, 100  # characters of a line

# ---- one table ----


def table(
    columns: Sequence[Column], rows: Mapping[str, Sequence[str]], width: int = WIDE
) -> list[str]:
    """A table of at most `width` characters a line, an empty line before each of its parts.

    rows: name to cells. Between columns there are two blanks, or one where that makes fewer parts.
    What does not fit goes on below; neighbours of one group stay together where they can. A row
    without a cell in a part is left out of it.
    """
    first = max(12, *(len(name) + 1 for name in rows))
    heads = [(column.name, *column.note.split(", ")) for column in columns]
    texts = [(*head, *(row[i] for row in rows.values())) for i, head in enumerate(heads)]
    needed = [max(6, *map(len, text)) for text in texts]
    close, apart = (_widths(columns, [n + gap for n in needed]) for gap in (1, 2))
    parts, widths = _parts(columns, close, width - first), close
    if len(wider := _parts(columns, apart, width - first)) == len(parts):
        parts, widths = wider, apart
    lines = []
    for part in parts:
        above = "".join(
            f"{name[: room - 1]:>{room}}"
            for group in _groups(columns, part)
            for name, room in [(columns[group[0]].group, sum(widths[i] for i in group))]
        )
        below = zip_longest(*(heads[i] for i in part), fillvalue="")
        cells = {name: [row[i] for i in part] for name, row in rows.items()}
        named = [("", head) for head in below if any(head)]
        named += [(name, row) for name, row in cells.items() if any(row)]
        lines += ["", *filter(None, [(" " * first + above).rstrip()])]
        for name, row in named:
            line = "".join(f"{cell:>{widths[i]}}" for cell, i in zip(row, part, strict=True))
            lines.append(f"{name:{first}}{line}".rstrip())
    return lines


def _widths(columns: Sequence[Column], widths: list[int]) -> list[int]:
    """The same with room for each group's own name."""
    widths = list(widths)
    for group in _groups(columns, range(len(columns))):
        name = columns[group[0]].group
        widths[group[0]] += max(0, len(name) + 1 - sum(widths[i] for i in group))
    return widths


def _groups(columns: Sequence[Column], part: Sequence[int]) -> list[list[int]]:
    """Neighbours under one heading."""
    return [list(of) for _, of in groupby(part, lambda i: columns[i].group or columns[i].name)]


def _parts(columns: Sequence[Column], widths: list[int], room: int) -> list[list[int]]:
    """The columns that fit side by side."""
    parts = [[]]
    for group in _groups(columns, range(len(columns))):
        if parts[-1] and sum(widths[i] for i in parts[-1] + group) > room:
            parts.append([])
        for i in group:
            if parts[-1] and sum(widths[j] for j in [*parts[-1], i]) > room:
                parts.append([])
            parts[-1].append(i)
    return parts


def _wrapped(texts: Sequence[str], width: int, indent: str = "") -> list[str]:
    lines = (textwrap.wrap(text, width, subsequent_indent=indent) or [""] for text in texts)
    return [line for of_text in lines for line in of_text]


# ---- one screen ----


def screen(levels: Sequence[Level], about: About, folder: Path) -> str:
    """The verdict, one table for each noise level, and where the rest is."""
    tested = f"{counted(levels[0].study)}; {about.degradation.noise.describe()}"
    head = [*verdict_sentences(levels), "", *about.of_outputs(), tested]
    lines = _wrapped(head, SCREEN, "  ")
    for level in levels:
        lines += ["", *filter(None, [level.name]), *_main_table(level)]
    lines += strength(levels, about, SCREEN)
    lines += ["", *_wrapped([_how_to_read(levels)], SCREEN)]
    lines.append(f"Plots, slices, all tables: {folder / 'index.html'}")
    return "\n".join(lines)


def _main_table(level: Level) -> list[str]:
    rows = {}
    for name, metrics in level.overall.items():
        of_method = level.conclusions.intervals[name]
        cells = [_with_spread(metrics, c, of_method.get(c.key)) for c in MAIN[:2]]
        cells += [written(value_of(metrics, column), column.form) for column in MAIN[2:]]
        rows[name] = (*cells, _checks(level.conclusions, name))
    return table((*MAIN, Column("checks")), rows, SCREEN)[1:]


def _with_spread(metrics: dict, column: Column, interval: Interval | None) -> str:
    """The mean with its 95 % interval, else with the SD over patients, else alone."""
    shown, form = written(value_of(metrics, column), column.form), column.form
    if interval is None or interval.sd is None:
        return shown
    if interval.low is None:
        return f"{shown} SD {interval.sd:{form}}"
    return f"{shown} ({interval.low:{form}}..{interval.high:{form}})"


def _checks(conclusions: Conclusions, method: str) -> str:
    if method not in conclusions.networks:
        return ""
    return "fails" if conclusions.fails(method) else "passes"


def _how_to_read(levels: Sequence[Level]) -> str:
    found = [each[MAIN_METRIC] for level in levels for each in level.conclusions.intervals.values()]
    note = f"Means over patients, whole slices; {IN_LUNG}"
    if any(interval.low is not None for interval in found):
        note += "; in brackets the 95 % interval"
    elif any(interval.sd is not None for interval in found):
        note += "; SD over patients"
    return f"{note}. All tables here: --details."


# ---- every table ----


def details(levels: Sequence[Level], about: About) -> str:
    """The conditions, all metrics of each level, its checks and its certainty."""
    first, *others = levels
    heads = [verdict_sentences(levels), *(verdict_sentences([level]) for level in others)]
    texts = [[*_conditions(first, about), *_metrics(first)]]
    texts += [[*_wrapped([level.noise_remark], WIDE), *_metrics(level)] for level in others]
    blocks = [
        [*_wrapped(head, WIDE, "  "), *text, "", *findings(level.conclusions)]
        for head, text, level in zip(heads, texts, levels, strict=True)
    ]
    if others:
        blocks.append(against_level(levels))
    if about.strengths:
        blocks.append(strength(levels, about, WIDE)[1:])
    if first.nodules:
        blocks.append(nodules(first.nodules))
    return "\n\n".join("\n".join(block) for block in blocks)


def _conditions(level: Level, about: About) -> list[str]:
    every = {"A": about.checkpoint, **about.compared()} if about.compared() else {}
    letters = [f"{letter}: {checkpoint_remark(said)}" for letter, said in every.items()]
    lines = [
        level.noise_remark,
        *([photon_cache.summary_text(about.photons)] if about.photons else []),
        "; ".join(about.remarks()),
    ]
    notes = [
        f"{counted(level.study)}; mean over a patient's slices, then over patients",
        "PSNR and SSIM: clipped to the window, whose width is the data range; never compare them "
        "across windows",
        "texture: SD of the slice less its Gaussian of 2 px",
        about.vgg_distance_remark(),
        *filter(None, [about.denoiser]),
        *about.history(),
        *about.warnings(),
    ]
    return [*_wrapped(lines, WIDE), *_wrapped(letters, WIDE, "   "), *_wrapped(notes, WIDE)]


def _metrics(level: Level) -> list[str]:
    columns = [column for subject in subjects(level.study.windows) for column in subject.columns]
    whole = level.overall | {NORMAL_DOSE: level.normal_dose}
    lines = ["", "whole slices", *_metric_table(columns, whole)]
    if level.study.discs:
        lines += ["", *_wrapped([discs_remark(level.study.discs)], WIDE)]
    if patches := level.study.overall("patch"):
        lines += ["", "64 x 64 patches", *_metric_table(columns, patches)]
    return lines


def _metric_table(columns: Sequence[Column], metrics: Mapping[str, dict]) -> list[str]:
    columns = measured_columns(columns, metrics)
    return table(
        columns,
        {name: [written(value_of(of, c), c.form) for c in columns] for name, of in metrics.items()},
    )


def findings(found: Conclusions) -> list[str]:
    """What the checks found for each network, and what is certain about the main metric."""
    lines = [
        f"{name}: {'FAILS: ' if finding.fails else ''}{finding.text}"
        for name in found.networks
        for finding in found.findings[name]
    ]
    return [*_wrapped([*lines, checks.BOUNDS], WIDE, "  "), "", *_certainty(found)]


def _certainty(found: Conclusions) -> list[str]:
    """PSNR in the lung window: mean, SD and interval, and what is gained on the others, with p."""
    of = {name: each[MAIN_METRIC] for name, each in found.intervals.items() if MAIN_METRIC in each}
    others = list(dict.fromkeys(other for each in found.compared.values() for other in each))
    columns = [Column("mean"), Column("SD"), Column("interval", "95 %")]
    for other in others:
        columns += [Column("gain", "dB", f"against {other}"), Column("p", "", f"against {other}")]
    rows, tested = {}, False
    for name, each in of.items():
        low_high = "" if each.low is None else f"{each.low:.2f} to {each.high:.2f}"
        rows[name] = [written(each.mean, ".2f"), written(each.sd, ".2f"), low_high]
        for other in others:
            compared = found.compared.get(name, {}).get(other, {}).get(MAIN_METRIC)
            rows[name].append("" if compared is None else written(compared.difference.mean, "+.2f"))
            rows[name].append("" if compared is None else written(compared.p, ".2g"))
            tested |= bool(rows[name][-1])
    lines = [f"PSNR in the {IN_LUNG}, over patients, dB", *table(columns, rows)[1:]]
    return lines + _wrapped([*_why_no_interval(of), *([f"p: {intervals.TEST}"] * tested)], WIDE)


def _why_no_interval(of: Mapping[str, Interval]) -> list[str]:
    """Why rows have no interval; what an interval is, where one has it."""
    whys: dict[str, list[str]] = {}
    for name, each in of.items():
        whys.setdefault(each.why, []).append(name)
    if len(whys) == 1 and "" not in whys:
        return [f"no interval: {next(iter(whys))}"]
    notes = [f"no interval for {', '.join(names)}: {why}" for why, names in whys.items() if why]
    return [*notes, intervals.INTERVAL]


def against_level(levels: Sequence[Level]) -> list[str]:
    """PSNR and SSIM in the lung window: a row a method and a column a level."""
    names = differing([level.degradation for level in levels])
    lines = [
        f"quality against {'/'.join(map(short_name, names))}: {IN_LUNG}, whole slices, "
        "mean over patients"
    ]
    for metric in MAIN[:2]:
        columns = [
            Column(column_head(level.degradation, names), "", metric.name) for level in levels
        ]
        rows = {
            method: [written(value_of(x.overall[method], metric), metric.form) for x in levels]
            for method in levels[0].study.methods
        }
        lines += table(columns, rows)
    return lines


def strength(levels: Sequence[Level], about: About, width: int) -> list[str]:
    """What more strength gives and costs, at each level; nothing where --strength is not given."""
    if not about.strengths:
        return []
    lines = ["", "What strength gives and costs"]
    for level in levels:
        found = strength_table(level, about.strengths)
        rows = {row.name: [cell.shown for cell in row.cells] for row in found.rows}
        lines += ["", *filter(None, [level.name]), *table(found.columns, rows, width)[1:]]
    return [*lines, "", *_wrapped([STRENGTH_NOTE], width)]


def nodules(study: NoduleStudy) -> list[str]:
    """What became of the annotated nodules."""
    found = nodule_table(study)
    rows = {row.name: [cell.shown for cell in row.cells] for row in found.rows}
    return [*_wrapped([f"nodules: {nodules_counted(study)}"], WIDE),
            *table(found.columns, rows)]  # fmt: skip
