"""A scan is watched slice by slice: what is kept of it, and whether a training knew it."""

from pathlib import Path

import numpy as np
import pytest

from srgan.dataset.select_slices import pixels_sha256
from srgan.enhancement.slice_function import FULL, Use
from srgan.enhancement.watch import Watch
from srgan.formats.scan import Scan, Slice
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.system.checksums import sha256_of_text
from tests.conftest import small_chest
from tests.helpers.made_manifest import trained

NOISE = Degradation(ImageNoise(Levels((1700.0,)), Levels((0.005,))), 1)
USE = Use(1, FULL)


def watched(volume: np.ndarray) -> Watch:
    watch = Watch(len(volume), USE, NOISE)
    for index, hu in enumerate(volume):
        watch.see(index, hu, hu.astype(np.float32))
    return watch


def scan(kind: str = "dicom", patient_ids: tuple[str, ...] = ("P7",)) -> Scan:
    slices = (Slice(Path("a"), 0),)
    return Scan(
        kind, "1.2.3", "P7", slices, 96, 96, (0.7, 0.7), (Path("a"),), patient_ids=patient_ids
    )


@pytest.mark.parametrize(("n", "shown"), [(1, 1), (2, 2), (3, 3), (40, 3)])
def test_the_preview_has_slices_at_the_quarters(n, shown):
    panes = watched(small_chest(0, slices=n)).panes()
    assert len({pane.index for pane in panes}) == len(panes) == shown
    if n == 40:
        assert [pane.index for pane in panes] == pytest.approx([10, 20, 30], abs=2)


def test_the_preview_avoids_slices_without_a_body():
    volume = small_chest(0, slices=30)
    volume[:12] = -1000
    assert min(pane.index for pane in watched(volume).panes()) >= 12
    assert len(watched(np.full((30, 96, 96), -1000, np.int16)).panes()) == 3


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("patient", "patient:P7"),
        ("series", "series:" + sha256_of_text("1.2.3")),
        ("pixels", "pixels:" + pixels_sha256(small_chest(0, slices=30)[4])),
    ],
)
def test_a_training_knows_a_scan_by_any_of_three_names(kind, name):
    watch = watched(small_chest(0, slices=30))  # slice 4 is not measured, but hashed
    assert 4 not in watch.found
    assert watch.trust(scan(), None, trained(name).has_seen).seen == (kind,)
    assert watch.trust(scan(), None, trained("patient:P8").has_seen).seen == ()


def test_a_volume_is_known_by_its_name():
    watch, seen = watched(small_chest(0)), trained("patient:1.2.3").has_seen
    assert watch.trust(scan("metaimage", ()), None, seen).seen == ("patient",)
    assert watch.trust(scan("dicom"), None, seen).seen == ()
