"""Render report/index.html: one file that holds everything it shows and requests nothing.

The template escapes all text: pass it as it is.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import jinja2
from markupsafe import Markup

from srgan.evaluation.conclusions import Conclusions
from srgan.report.html.plots import Plot
from srgan.report.html.tables import Table
from srgan.report.html.viewer import Viewer
from srgan.report.method_styles import DARK_COLOURS, PAPER_COLOURS
from srgan.system.errors import one_line
from srgan.system.files import write_whole, writing

NOTICE = "For research, not a medical device."
LARGEST = 15_000_000  # bytes
LONGEST = 2000  # characters of one text
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Fold:
    """Parts that are shown when their title is clicked."""

    title: str
    parts: tuple["Part", ...]
    is_open: bool = False


# Conclusions are shown as the checks of all methods, plots side by side, and text as a paragraph.
Part = Table | Conclusions | Viewer | Fold | tuple[Plot, ...] | str


@dataclass(frozen=True)
class Section:
    title: str
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    title: str
    headlines: tuple[str, ...]  # the verdict, one sentence a network
    remarks: tuple[str, ...]  # noise model, SYNTHETIC, warnings
    sections: tuple[Section, ...]
    facts: Mapping[str, str] = field(default_factory=dict)  # counts, versions, hashes
    settings: Mapping = field(default_factory=dict)  # JSON values


def write(path: Path, page: Page) -> None:
    """Write the page, complete or absent. Raises UserError.

    While the page is larger than LARGEST, its last slice is left out, and the page says so.
    """
    content = render(page).encode()
    while len(content) > LARGEST and (smaller := without_last_slice(page)) != page:
        page = smaller
        content = render(page).encode()
    with writing(path):
        write_whole(path, lambda part: part.write_bytes(content))


def without_last_slice(page: Page) -> Page:
    """The page with a note in place of its last viewer; the same page if it has none."""
    for i, section in reversed(list(enumerate(page.sections))):
        viewers = [part for part in section.parts if isinstance(part, Viewer)]
        if viewers:
            note = (
                f"Left out to keep this page under {LARGEST / 1e6:.0f} MB: {viewers[-1].title}. "
                "The files example-*.png beside this page show one slice of each patient."
            )
            parts = tuple(note if part is viewers[-1] else part for part in section.parts)
            sections = list(page.sections)
            sections[i] = replace(section, parts=parts)
            return replace(page, sections=tuple(sections))
    return page


def render(page: Page) -> str:
    """The page as HTML. Equal pages give equal text."""
    script = (HERE / "page.js").read_text(encoding="utf-8")
    style = (HERE / "page.css").read_text(encoding="utf-8")
    return _ENVIRONMENT.get_template("page.html.j2").render(
        page=page,
        notice=NOTICE,
        style=Markup(style),
        paper_colours=PAPER_COLOURS,
        dark_colours=DARK_COLOURS,
        script=Markup(script),
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _clean(value: object) -> object:
    """Text from anywhere becomes one line without control characters, before it is escaped."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return one_line(value, LONGEST) if is_text else value


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        finalize=_clean,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    kinds = {"table": Table, "checks": Conclusions, "viewer": Viewer, "fold": Fold, "plots": tuple}
    for name, kind in kinds.items():
        environment.tests[name] = lambda part, kind=kind: isinstance(part, kind)
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


_ENVIRONMENT = _environment()
