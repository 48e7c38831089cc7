"""preview.png: input | output | removed of each slice in two windows, around the body."""

import imageio.v3 as imageio
import numpy as np
import pytest

from srgan.enhancement import preview
from srgan.enhancement.preview import Pane
from srgan.enhancement.slice_function import FULL, LOW_RESOLUTION, Use
from srgan.resampling import nearest
from tests.conftest import small_chest

LOW = Use(2, LOW_RESOLUTION)


def panes(scale: int, n: int = 3) -> list[Pane]:
    volume = small_chest(0, slices=n)
    return [Pane(4 * k, hu, nearest(hu, scale), 12.0) for k, hu in enumerate(volume)]


def test_what_was_removed_is_the_input_minus_the_output_on_its_grid():
    pane = panes(2)[0]
    assert (preview.removed_of(pane, LOW) == 0).all()
    darker = Pane(0, pane.hu_in, pane.hu_out - 5, None)
    np.testing.assert_allclose(preview.removed_of(darker, LOW)[40:60, 40:60], 5)
    same = Pane(0, np.full((8, 8), 9000), np.full((8, 8), 9000), None)
    assert (preview.removed_of(same, Use(1, FULL)) == 0).all()  # metal is beyond the network


def test_each_slice_has_three_panels_in_either_window():
    figure = preview.draw(panes(2), LOW, (0.8, 0.8), 12, "srgan-7")
    assert len(figure.axes) == 3 * 2 * 3
    first = figure.axes[:3]
    assert [axes.images[0].get_clim() for axes in first[:2]] == [(-1350, 150)] * 2
    low, high = first[2].images[0].get_clim()
    assert low == -high < 0
    sizes = [axes.images[0].get_array().shape for axes in first]
    assert sizes[1] == tuple(2 * n for n in sizes[0])
    assert sizes[2] == sizes[0]
    texts = " / ".join(text.get_text() for text in figure.texts)
    for words in ("slice 9 of 12", "12.0 HU", "mediastinum window -160 to 240 HU", "srgan-7"):
        assert words in texts


@pytest.mark.parametrize(("spacing_mm", "n"), [((0.8, 0.8), 3), ((1.6, 0.8), 1)])
def test_the_file_is_as_wide_as_a_window_and_in_proportion(tmp_path, spacing_mm, n):
    preview.write(tmp_path / "preview.png", panes(2, n), LOW, spacing_mm, 3, "srgan-7")
    pixels = imageio.imread(tmp_path / "preview.png")
    assert 1450 < pixels.shape[1] < 1550
    axes = preview.draw(panes(2, n), LOW, spacing_mm, 3, "srgan-7").axes[0]
    box, (rows, columns) = axes.get_window_extent(), axes.images[0].get_array().shape
    wanted = rows * spacing_mm[0] / (columns * spacing_mm[1])
    assert box.height / box.width == pytest.approx(wanted, rel=0.01)


def test_nothing_is_written_without_slices_and_air_is_shown_whole(tmp_path):
    preview.write(tmp_path / "preview.png", [], LOW, (1, 1), 0, "")
    assert not list(tmp_path.iterdir())
    air = np.full((20, 30), -1000)
    figure = preview.draw([Pane(0, air, nearest(air, 2), None)], LOW, (1, 1), 1, "")
    assert figure.axes[0].images[0].get_array().shape == (20, 30)


@pytest.mark.parametrize("shape", [(4000, 4), (4, 4000), (1, 1)])
def test_a_strange_slice_has_a_picture_too(tmp_path, shape):
    hu = np.full(shape, 40, np.int16)
    preview.write(tmp_path / "preview.png", [Pane(0, hu, hu, None)], Use(1, FULL), (1, 1), 1, "")
    rows, columns, _ = imageio.imread(tmp_path / "preview.png").shape
    assert rows < 2200
    assert 1450 < columns < 1550
