"""A small report page with every kind of part, and text that tries to break out of it."""

import math

import numpy as np

from srgan.evaluation.checks import Finding
from srgan.evaluation.conclusions import Conclusions
from srgan.report.columns import Column
from srgan.report.html.plots import box_plot, curve_plot
from srgan.report.html.render import Fold, Page, Section
from srgan.report.html.tables import Cell, Row, Table
from srgan.report.html.viewer import SHOWN, Map, Viewer

EVIL = """</script><script>alert("x")</script> 'a' & <b> http://example.org"""
SIZE = (64, 96)


def sample_viewer(title="Median"):
    """Noise over all HU. The low dose is four times smaller, the map covers the left half."""
    rng = np.random.default_rng(3)
    normal = rng.integers(-1024, 3072, SIZE).astype(np.float32)
    pictures = {
        "normal dose": normal,
        EVIL: rng.integers(-1024, 3072, (16, 24)).astype(np.float32),
        "srgan": np.clip(normal + rng.normal(0, 40, SIZE), -1024, 3071),
    }
    z = np.full((16, 24), np.nan)
    z[:, :12] = 6
    maps = (Map("consistency", "srgan", z, "expected SDs", (-6, 6), diverging=True),)
    detail = (slice(16, 32), slice(24, 48))
    shown = ("normal dose", "srgan")
    return Viewer(title, EVIL, pictures, maps, shown, detail, (1.0, 1.0), SHOWN)


def sample_table():
    lung = Column("lung", "range 1500 HU", "PSNR, dB", "psnr_db.lung", "high")
    bias = Column("mean", "HU", "error", "bias_hu", "zero")
    nothing = Cell("")
    return Table(
        "Nearness", (lung, bias, Column("share")),
        (Row("srresnet", (Cell("30.1", 30.123456789, "29 to 31"), Cell("-2.0", -2.01),
                          Cell("10 %"))),
         Row("srgan", (Cell("30.1", 30.09), Cell("+10.2", 10.2), Cell(EVIL, is_text=True)),
             fails=True),
         Row("bicubic", (Cell("28.0", 28.0), Cell("+1.9", 1.9), nothing)),
         Row("same", (Cell("inf", math.inf), nothing, nothing)),
         Row("normal dose", (Cell("99.0", 99.0), Cell("0", 0.0), nothing), ranked=False)),
    )  # fmt: skip


def sample_page():
    doses = (0.1, 0.25, 0.5)
    plots = (
        curve_plot("PSNR", {"srgan": (doses, (1, 2, None))}, x="dose", y="dB", ticks=doses),
        curve_plot("SSIM", {EVIL: (doses, (1, 2, 3))}, x="dose", y="SSIM", log_x=True),
        box_plot(EVIL, {"srgan": range(12), "bicubic": (1, 2, math.nan)}, x="HU"),
    )
    kinds = {"bicubic": "enlargement", "srresnet": "pixel", "srgan": "gan"}
    fault = Finding("bias (lung)", f"lung {EVIL}", True)
    findings = {
        "bicubic": [Finding("smoother", "smoother than it was", True)],
        "srresnet": [],
        "srgan": [Finding("invented share", "7 %", False), fault],
    }
    table = sample_table()
    return Page(
        title=EVIL,
        headlines=("SRGAN fails: bias (lung).", f"SRResNet: {EVIL}"),
        remarks=("VGG19 weights: random", EVIL),
        sections=(
            Section("Slice", (sample_viewer(),)),
            Section("Results", ("Means over patients.", table, Fold(EVIL, (table,)))),
            Section(
                "Checks", (Conclusions(kinds, findings, {}, {}),), ("The bounds are first ones.",)
            ),
            Section("Dose", (plots,)),
            Section("More slices", (sample_viewer("Worst"),)),
        ),
        facts={"model, SHA-256": "9f86d0", EVIL: EVIL},
        settings={"scale": 4, "fresh": False, "steps": None, "name": EVIL},
    )
