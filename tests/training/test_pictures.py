"""What the pictures in train/ are called; their pixels are seen in test_train."""

import numpy as np
import pytest
from matplotlib.text import Text

from srgan.training import pictures
from srgan.training.validation import Validation

NAMES = {1: ["normal dose", "input", "output"], 4: ["normal dose", "low dose", "bicubic", "output"]}


def validation(scale: int) -> Validation:
    rng = np.random.default_rng(0)
    low, normal = (rng.uniform(-1, 1, (8, n, n, 1)).astype(np.float32) for n in (32 // scale, 32))
    return Validation(low, normal, 100 * low[0, ..., 0], 100 * normal[0, ..., 0], 30.0)


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("scale", [1, 4])
def test_at_scale_1_low_dose_and_bicubic_are_one_the_input(scale):
    made = validation(scale)
    assert made.input_name == ("input" if scale == 1 else "bicubic")
    grid = pictures.grid(made, made.normal, "title")
    images = made.slice_low_hu, made.slice_normal_hu, made.slice_normal_hu
    whole = pictures.whole_slice(*images, "title")
    for figure, columns in ((grid, NAMES[scale]), (whole, 2 * NAMES[scale])):
        titles = [axes.get_title().split(",")[0] for axes in figure.axes]
        assert [title for title in titles if title] == columns
    below = sum(word.endswith(" dB") and "," not in word for word in words(grid))
    assert below == 2 * 8  # of the input and of the output
