import numpy as np

from srgan import hounsfield as h


def test_hu_conversions_map_both_ends_exactly_and_invert():
    ends = np.array([-1024.0, 3071.0])
    assert h.hu_to_fraction(ends).tolist() == [0.0, 1.0]
    assert h.hu_to_network(ends).tolist() == [-1.0, 1.0]
    hu = np.arange(-1024, 3072, dtype=np.float64)
    assert np.abs(h.network_to_hu(h.hu_to_network(hu)) - hu).max() < 1e-9
    assert np.abs(h.fraction_to_hu(h.hu_to_fraction(hu)) - hu).max() < 1e-9


def test_hu_conversions_keep_hu_in_float32():
    hu = np.random.default_rng(0).uniform(-1024, 3071, (64, 64)).astype(np.float32)
    back = h.network_to_hu(h.hu_to_network(hu))
    assert abs(float(back.mean() - hu.mean())) < 0.01
    whole = np.arange(-1024, 3072, dtype=np.float32)
    assert np.array_equal(np.rint(h.network_to_hu(h.hu_to_network(whole))), whole)


def test_windows_have_the_widths_of_the_reported_metrics():
    assert {name: w.width for name, w in h.WINDOWS.items()} == {
        "full": 4095,
        "lung": 1500,
        "mediastinum": 400,
    }
