"""report/index.html: one file that holds all it shows and asks nothing of a network.

    page = Page(
        title="Judgement of 12 held-out patients",
        headline="srgan fails: it is biased in lung. srresnet has no failing line.",
        judged=(Judged("srgan", verdict.lines(...)), Judged("bicubic", (), network=False)),
        remarks=tuple(about.remarks()),
        sections=(
            Section("Figures", (table,)),
            Section("Quality against dose", (curve_plot(...), curve_plot(...))),
            Section("Slices", (viewer, viewer, viewer)),
        ),
        facts={"patients": "12", "model, SHA-256": "..."},
        settings=about.settings,
    )
    write(folder / "index.html", page)

All text is escaped here: pass it as it is, in the order in which it is to be read.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from srgan.evaluation.verdict import Verdict
from srgan.report.html import shrink
from srgan.report.html.markup import notes_html, text
from srgan.report.html.plots import Plot, with_ids
from srgan.report.html.tables import Table, table_html
from srgan.report.html.viewer import Viewer, viewer_html
from srgan.system.files import write_whole, writing

NOTICE = "For research, not a medical device."
LARGEST = 15_000_000  # bytes
LONG = 120  # letters of a headline, from which on it is set smaller


@dataclass(frozen=True)
class Judged:
    """A method and its verdict lines; a network fails where one of them does.

    level: of several, at which it was judged.
    """

    method: str
    lines: tuple[Verdict, ...]
    network: bool = True  # others are for comparison
    level: str = ""

    @property
    def fails(self) -> bool:
        return self.network and any(line.fails for line in self.lines)


@dataclass(frozen=True)
class Fold:
    """What is shown when its title is clicked."""

    title: str
    parts: tuple["Part", ...]


Part = Table | Plot | Viewer | Fold | str  # a str is a paragraph


@dataclass(frozen=True)
class Section:
    title: str
    parts: tuple[Part, ...]
    left_out: tuple[str, ...] = ()  # what would have made the page too large


@dataclass(frozen=True)
class Page:
    title: str
    headline: str  # the verdict in a sentence or two
    judged: tuple[Judged, ...]
    remarks: tuple[str, ...]  # noise model, VGG19 weights, SYNTHETIC
    sections: tuple[Section, ...]
    facts: Mapping[str, str] = field(default_factory=dict)  # counts, versions, hashes
    settings: Mapping = field(default_factory=dict)  # JSON values, nested at will
    notes: tuple[str, ...] = ()  # under the verdicts: where the bounds are from

    def fails(self, level: str) -> set[str]:
        return {judged.method for judged in self.judged if judged.fails and judged.level == level}


def write(path: Path, page: Page) -> None:
    """The page, complete or absent, and made lighter until it fits. Raises UserError.

    What `lighter.STEPS` take away is named above the viewers.
    """
    content = render(page).encode()
    for step in shrink.STEPS:
        if len(content) <= LARGEST:
            break
        left = tuple(_lighter(section, step) for section in page.sections)
        if any(a.left_out != b.left_out for a, b in zip(left, page.sections, strict=True)):
            page = replace(page, sections=left)
            content = render(page).encode()
    with writing(path):
        write_whole(path, lambda part: part.write_bytes(content))


def _lighter(section: Section, step: shrink.Step) -> Section:
    """The section after a step with its viewers."""
    viewers = [part for part in section.parts if isinstance(part, Viewer)]
    if not viewers:
        return section
    left, said = step(viewers)
    others = [part for part in section.parts if not isinstance(part, Viewer)]
    gone = section.left_out + ((said,) if said else ())
    return replace(section, parts=(*others, *left), left_out=gone)


def render(page: Page) -> str:
    """The page as HTML; equal pages give equal text."""
    here = Path(__file__)
    style = here.with_suffix(".css").read_text(encoding="utf-8")
    script = here.with_suffix(".js").read_text(encoding="utf-8")
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    )
    titles = ["Verdict", *(section.title for section in page.sections), "Record"]
    contents = "".join(
        f'<li><a href="#section-{i}">{text(title)}</a></li>' for i, title in enumerate(titles)
    )
    sections = "".join(
        _section(i, section, page) for i, section in enumerate(page.sections, start=1)
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(page.title)}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the verdict</a>
<header>
<p class="notice">{NOTICE}</p>
<h1>{text(page.title)}</h1>
<p class="headline{" long" if len(page.headline) > LONG else ""}">{_headline(page.headline)}</p>
<ul class="remarks">{_items(page.remarks)}</ul>
<nav aria-label="Contents"><ol>{contents}</ol></nav>
</header>
<main id="main">
<section id="section-0" aria-labelledby="title-0">
<h2 id="title-0">Verdict</h2>
{_verdicts(page)}
{notes_html(page.notes)}
</section>
{sections}
<section id="section-{len(titles) - 1}" aria-labelledby="title-{len(titles) - 1}">
<h2 id="title-{len(titles) - 1}">Record</h2>
{_pairs(page.facts.items())}
<h3>Settings</h3>
{_pairs(_flat(page.settings))}
</section>
</main>
<footer><p>{NOTICE}</p></footer>
<script>{script}</script>
</body>
</html>
"""


def _items(lines: tuple[str, ...]) -> str:
    return "".join(f"<li>{text(line)}</li>" for line in lines)


def _headline(words: str) -> str:
    """A line a network."""
    return " ".join(f"<span>{text(part)}</span>" for part in words.replace("; ", ";\n").split("\n"))


def _verdicts(page: Page) -> str:
    """Those of each level, of several folded but for the first; what fails comes first."""
    levels = dict.fromkeys(judged.level for judged in page.judged)
    made = []
    for i, level in enumerate(levels):
        of_level = [judged for judged in page.judged if judged.level == level]
        of_level.sort(key=lambda judged: not judged.fails)
        inside = f'<div class="verdicts">{"".join(map(_judged, of_level))}</div>'
        failing = [judged.method for judged in of_level if judged.fails]
        said = f"{' and '.join(failing) or 'no network'} fail{'s' * (len(failing) < 2)}"
        title = f"At {level} {said}"
        made.append(_fold(title, inside, i == 0) if len(levels) > 1 else inside)
    return "".join(made)


def _judged(judged: Judged) -> str:
    """A method's lines, the failing ones first."""
    state = "fails" if judged.fails else "passes" if judged.network else "compared"
    badge = {"fails": "Fails", "passes": "No failing line", "compared": "For comparison"}[state]
    lines = "".join(
        f'<li class="{"fault" if judged.fails and line.fails else "said"}">'
        f"<strong>{text(line.kind)}:</strong> "
        f"{text(line.text.removeprefix(line.kind).lstrip())}</li>"
        for line in sorted(judged.lines, key=lambda line: not line.fails)
    )
    return (
        f'<article class="{state}"><h3>{text(judged.method)} <span class="badge">{badge}</span>'
        f"</h3>{f'<ul>{lines}</ul>' if lines else '<p>No verdict line.</p>'}</article>"
    )


def _section(number: int, section: Section, page: Page) -> str:
    gone = (
        f"<p>Left out to keep this page under {LARGEST / 1e6:.0f} MB: "
        f"{text('; '.join(section.left_out))}.</p>"
        if section.left_out
        else ""
    )
    return (
        f'<section id="section-{number}" aria-labelledby="title-{number}">'
        f'<h2 id="title-{number}">{text(section.title)}</h2>{gone}'
        f"{_parts(section.parts, str(number), page)}</section>"
    )


def _parts(parts: tuple[Part, ...], key: str, page: Page) -> str:
    """Neighbouring plots stand side by side where there is room."""
    made = []
    for kind, several in groupby(enumerate(parts), key=lambda part: type(part[1])):
        if kind is Plot:
            plots = "".join(_plot(part, f"plot-{key}-{i}") for i, part in several)
            made.append(f'<div class="plots">{plots}</div>')
        elif kind is Table:
            made += [table_html(t, f"table-{key}-{i}", page.fails(t.level)) for i, t in several]
        elif kind is Viewer:
            made += [viewer_html(part, f"viewer-{key}-{i}") for i, part in several]
        elif kind is Fold:
            made += [_fold(of.title, _parts(of.parts, f"{key}-{i}", page)) for i, of in several]
        else:
            made += [f"<p>{text(part)}</p>" for _, part in several]
    return "".join(made)


def _fold(title: str, inside: str, is_open: bool = False) -> str:
    return (
        f"<details{' open' if is_open else ''}><summary>{text(title)}</summary>"
        f'<div class="folded">{inside}</div></details>'
    )


def _plot(plot: Plot, key: str) -> str:
    svg = with_ids(plot.svg, key).replace(
        "<svg", f'<svg class="plot" role="img" aria-label="{text(plot.alt)}"', 1
    )
    caption = f"<figcaption><h3>{text(plot.caption)}</h3></figcaption>"
    return f"<figure>{caption}{svg}{notes_html(plot.notes)}</figure>"


def _flat(values: Mapping, above: str = "") -> Iterator[tuple[str, str]]:
    """Nested values under dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            shown = value if isinstance(value, str) else json.dumps(value, default=str)
            yield f"{above}{name}", shown


def _pairs(pairs) -> str:
    return "".join(
        ["<dl>", *(f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in pairs), "</dl>"]
    )
