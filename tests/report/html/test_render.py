"""The page as text: well-formed, escaped, asks nothing of a network, and fits in 15 MB."""

import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from srgan.report.columns import Column
from srgan.report.html import render as rendering
from srgan.report.html.render import Page, Section, render, write
from srgan.report.html.tables import Cell, Row, Table
from srgan.report.html.viewer import Map
from srgan.report.method_styles import PAPER_COLOURS
from srgan.system.errors import BAD_INPUT, UserError
from tests.helpers.sample_page import EVIL, sample_page, sample_table, sample_viewer

VOID = {"meta", "img", "input", "br"}


class Reader(HTMLParser):
    """Tags with their attributes, in order; what is not closed; the text of each element."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" not in self.open and "style" not in self.open:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def content():
    return render(sample_page())


@pytest.fixture(scope="module")
def read(content):
    return Reader(content)


def test_page_is_well_formed_and_names_its_language(read):
    assert read.open == []
    assert read.all("html") == [{"lang": "en"}]
    assert len(read.all("title")) == len(read.all("h1")) == len(read.all("main")) == 1
    viewport = {"name": "viewport", "content": "width=device-width, initial-scale=1"}
    assert viewport in read.all("meta")
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch("h[1-6]", tag)]
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_page_ids_are_unique_and_references_lead_to_them(read):
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in read.tags:
        linked = [attributes[name][1:] for name in ("href",) if name in attributes]
        linked += attributes.get("aria-labelledby", "").split()
        linked += re.findall(r"url\(#([^)]*)\)", attributes.get("clip-path", ""))
        assert set(linked) <= set(ids)


def test_page_describes_every_picture_in_words(read):
    for image in read.all("img"):
        assert len(image["alt"]) > 20
    drawings = [attributes for _, attributes in read.tags if attributes.get("role") == "img"]
    assert len(drawings) == len(read.all("svg")) + len(read.all("canvas")) == 5
    assert all(drawing["aria-label"] for drawing in drawings)
    assert any("median 5.5" in drawing["aria-label"] for drawing in drawings)


def test_page_asks_nothing_of_a_network(content, read):
    for tag, attributes in read.tags:
        for name in ("src", "href", "action", "srcset", "data", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert "//" not in attributes.get("style", "")
        assert not any(name.startswith(("on", "xmlns", "xlink")) for name in attributes)
    policy = next(m for m in read.all("meta") if m.get("http-equiv"))["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "'unsafe-inline'" not in policy.split("script-src")[1]
    for tag in ("style", "script"):
        program = re.search(f"<{tag}>(.*?)</{tag}>", content, re.S)[1]
        assert not re.search(r"url\(|@import|fetch\(|https?:|XMLHttp|import\(", program)


def test_page_escapes_text_from_anywhere(content, read):
    assert '<script>alert("x")' not in content
    kinds = [script.get("type") for script in read.all("script")]
    assert kinds == ["application/json"] * 2 + [None]  # the data of two viewers, one program
    # title, headline, remark, cells, fold, verdict, plot, choices, words of a viewer, fact, setting
    assert "".join(read.words).count(EVIL) >= 12
    assert any(option.get("value") == EVIL for option in read.all("option"))
    control = render(replace(sample_page(), title="a\x00b\x1b[2J\nc", sections=()))
    assert "<h1>a b [2J c</h1>" in control


def test_page_begins_with_notice_and_verdict_then_slice_and_results(content, read):
    shown = " ".join(read.words)
    assert shown.count(rendering.NOTICE) == 2
    places = [content.index(words) for words in (
        rendering.NOTICE, "<span>SRGAN fails", "<span>SRResNet", "<canvas", "<table", "<article",
    )]  # fmt: skip
    assert places == sorted(places)


def test_checks_show_failing_lines_first_and_say_each_kind_once(content):
    order = re.findall(r'<article class="(\w+)"><h3>(\w+)', content)
    assert order == [("fails", "srgan"), ("passes", "srresnet"), ("compared", "bicubic")]
    lines = re.findall(r'<li class="(\w+)"><strong>([^:]*):</strong>', content)
    assert lines == [("fault", "bias (lung)"), ("said", "invented share"), ("said", "smoother")]
    assert "smoother:</strong> than it was" in content
    assert "<p>Nothing to report.</p>" in content


# ---- tables ----


def html_of(table):
    return render(Page("t", (), (), (Section("s", (table,)),)))


def best_of(html):
    return re.findall(r'<strong>([^<]*)</strong><span class="unseen"> \(best\)', html)


def test_an_infinite_value_is_null_in_the_page_as_in_the_summary(content):
    assert 'data-key="psnr_db.lung" data-value="30.123456789"' in content
    assert (
        re.findall(r'data-key="psnr_db.lung" data-value="null">\S+', content)
        == ['data-key="psnr_db.lung" data-value="null"><strong>inf</strong><span'] * 2
    )  # in the table, and in the folded one


def test_the_best_of_a_column_is_marked_in_words_too():
    table = sample_table()
    assert best_of(html_of(table)) == ["+1.9", "inf"]
    finite = replace(table, rows=(*table.rows[:3], table.rows[4]))
    assert best_of(html_of(finite)) == ["30.1", "30.1", "+1.9"]  # shown alike, equally good


def test_a_column_of_equal_values_has_no_best():
    column = Column("vanished", better="low")
    for cells in ((Cell("0", 0), Cell("0", 0)), (Cell("", 0), Cell("", 1))):
        rows = tuple(Row(name, (cell,)) for name, cell in zip("ab", cells, strict=True))
        assert Table("", (column,), rows).best == set()


def test_table_refuses_a_row_of_another_length():
    with pytest.raises(ValueError, match="2 cells, 3 columns"):
        replace(sample_table(), rows=(Row("a", (Cell(""), Cell(""))),))


def test_table_says_in_words_what_was_not_measured():
    dash = '<span aria-hidden="true">\N{EN DASH}</span><span class="unseen">not measured</span>'
    assert dash in html_of(Table("", (Column("a"),), (Row("b", (Cell(""),)),)))


def test_a_row_that_fails_has_a_badge(content):
    rows = re.findall(r'<tr data-row="(\w+)"><th scope="row">\w+ <span class="badge">', content)
    assert rows == ["srgan", "srgan"]  # in the table, and in the folded one


# ---- colours ----


def luminance(colour):
    colour = colour * 2 if len(colour) == 3 else colour
    linear = [(c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4)
              for c in (int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4))]  # fmt: skip
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


def test_colours_have_contrast_in_both_themes(content):
    light, dark = {}, {}
    for i, block in enumerate(re.findall(r":root \{(.*?)\}", content, re.S)[:4]):
        (dark if i % 2 else light).update(re.findall(r"--([\w-]+): #(\w+);", block))
    text = [("ink", "paper"), ("soft", "paper"), ("accent", "paper"), ("fault", "paper"),
            ("on-fault", "fault"), ("ink", "raised"), ("soft", "raised")]  # fmt: skip
    lines = [(f"line-{i}", "paper") for i in range(len(PAPER_COLOURS))] + [("edge", "paper")]
    assert set(light) == set(dark)
    for theme in (light, dark):
        for least, pairs in ((4.5, text), (3.0, lines)):
            for pair in pairs:
                a, b = sorted(luminance(theme[name]) for name in pair)
                assert (b + 0.05) / (a + 0.05) >= least, pair


# ---- size ----


def slices_of(size, networks):
    """Three viewers as a test makes them, of noise alone: more than any scan has."""
    rng = np.random.default_rng(0)
    names = [f"network {i}" for i in range(networks)]
    hu = {name: rng.normal(0, 60, (size, size)) for name in ("normal dose", "bicubic", *names)}
    rho = rng.normal(0, 1, (size, size))
    maps = tuple(Map("invention", name, rho, "rho", (-1, 1)) for name in names)
    viewer = replace(sample_viewer(), pictures=hu, maps=maps, shown=("normal dose", "bicubic"))
    return [replace(viewer, title=title) for title in ("Median", "Worst", "Best")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "networks", "left"),
    [(512, 2, ["Median", "Worst", "Best"]), (1024, 2, ["Median"]), (512, 12, ["Median"])],
)
def test_page_fits_in_15_mb(tmp_path, size, networks, left):
    path, viewers = tmp_path / "index.html", slices_of(size, networks)
    sections = (Section("Slice", (viewers[0],)), Section("More slices", tuple(viewers[1:])))
    write(path, replace(sample_page(), sections=sections))
    assert path.stat().st_size <= 15e6
    assert re.findall(r"<figcaption><h3>(\w+)", path.read_text()) == left


def test_page_leaves_out_its_last_slices_and_says_so(tmp_path, monkeypatch):
    said, path = [], tmp_path / "index.html"
    for _ in range(3):
        write(path, sample_page())
        text = path.read_text()
        said.append(re.findall(r"<p>Left out to keep this page under \d+ MB: (\w+)\. The", text))
        assert text.count("<canvas") == 2 - len(said[-1])
        monkeypatch.setattr(rendering, "LARGEST", path.stat().st_size - 1)
    assert said == [[], ["Worst"], ["Median", "Worst"]]
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_page_is_complete_or_absent(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write") as raised:
        write(tmp_path / "file" / "index.html", sample_page())
    assert raised.value.exit_code == BAD_INPUT
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
