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
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from srgan.evaluation.markup import notes_html, text
from srgan.evaluation.plots import Plot, with_ids
from srgan.evaluation.tables import Table, table_html
from srgan.evaluation.verdict import Verdict
from srgan.evaluation.viewer import Viewer, viewer_html
from srgan.files import told, write_whole

NOTICE = "For research, not a medical device."
LARGEST = 15_000_000  # bytes
LONG = 200  # letters of a headline, from which on it is set smaller


@dataclass(frozen=True)
class Judged:
    """A method and its verdict lines; a network fails where one of them does."""

    method: str
    lines: tuple[Verdict, ...]
    network: bool = True  # others are for comparison

    @property
    def fails(self) -> bool:
        return self.network and any(line.fails for line in self.lines)


Part = Table | Plot | Viewer | str  # a str is a paragraph


@dataclass(frozen=True)
class Section:
    title: str
    parts: tuple[Part, ...]


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


def write(path: Path, page: Page) -> None:
    """The page, complete or absent. Raises UserError (files.told), ValueError where too large."""
    content = render(page).encode()
    if len(content) > LARGEST:
        raise ValueError(f"a page of {len(content) / 1e6:.1f} MB; at most {LARGEST / 1e6:.0f}")
    with told(path):
        write_whole(path, lambda part: part.write_bytes(content))


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
    fails = {judged.method for judged in page.judged if judged.fails}
    failing_first = sorted(page.judged, key=lambda judged: not judged.fails)
    titles = ["Verdict", *(section.title for section in page.sections), "Record"]
    contents = "".join(
        f'<li><a href="#section-{i}">{text(title)}</a></li>' for i, title in enumerate(titles)
    )
    sections = "".join(
        _section(i, section, fails) for i, section in enumerate(page.sections, start=1)
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
<p class="headline{" long" if len(page.headline) > LONG else ""}">{text(page.headline)}</p>
<ul class="remarks">{_items(page.remarks)}</ul>
<nav aria-label="Contents"><ol>{contents}</ol></nav>
</header>
<main id="main">
<section id="section-0" aria-labelledby="title-0">
<h2 id="title-0">Verdict</h2>
<div class="verdicts">{"".join(map(_judged, failing_first))}</div>
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


def _section(number: int, section: Section, fails: set[str]) -> str:
    """Neighbouring plots stand side by side where there is room."""
    made, key = [], f"section-{number}"
    for kind, parts in groupby(enumerate(section.parts), key=lambda part: type(part[1])):
        if kind is Plot:
            plots = "".join(_plot(part, f"plot-{number}-{i}") for i, part in parts)
            made.append(f'<div class="plots">{plots}</div>')
        elif kind is Table:
            made += [table_html(part, f"table-{number}-{i}", fails) for i, part in parts]
        elif kind is Viewer:
            made += [viewer_html(part, f"viewer-{number}-{i}") for i, part in parts]
        else:
            made += [f"<p>{text(part)}</p>" for _, part in parts]
    return (
        f'<section id="{key}" aria-labelledby="title-{number}">'
        f'<h2 id="title-{number}">{text(section.title)}</h2>{"".join(made)}</section>'
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
