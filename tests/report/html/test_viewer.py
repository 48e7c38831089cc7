import base64
import zlib
from dataclasses import replace

import numpy as np
import pytest

from srgan.report.html.viewer import pack
from tests.helpers.sample_page import sample_viewer


@pytest.mark.parametrize("bits", [12, 8])
def test_pack_loses_nothing(bits):
    """Unpacked as page.js does it."""
    values = np.random.default_rng(bits).integers(0, 1 << bits, (33, 20)).astype(np.uint16)
    values[0, :2] = 0, (1 << bits) - 1
    planes = np.frombuffer(zlib.decompress(base64.b64decode(pack(values))), np.uint8)
    high, low = planes.reshape(2, 33, 20).astype(int)
    np.testing.assert_array_equal(high << 8 | low, values)


def test_viewer_refuses_what_it_cannot_show():
    viewer = sample_viewer()
    normal = viewer.pictures["normal dose"]
    for wrong, words in (
        ({"a": normal, "b": normal[:10]}, "does not divide"),
        ({"a": np.where(normal > 0, normal, np.nan)}, "not finite"),
        ({"a": normal}, "no picture of normal dose, srgan"),
    ):
        with pytest.raises(ValueError, match=words):
            replace(viewer, pictures=wrong)
