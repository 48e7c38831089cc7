"""srgan.load, as a user calls it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pydicom
import pytest

import srgan
from srgan.models import generator
from srgan.resampling import bicubic
from srgan.system.errors import UserError
from srgan.training import checkpoint_models, shipped_weights
from tests.conftest import ROOT
from tests.helpers import made_dicom, made_networks, made_shipped
from tests.helpers.made_manifest import manifest

HEAVY = ("keras", "matplotlib", "numpy", "pydicom", "scipy", "SimpleITK", "tensorflow")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An untrained fast generator of scale 2 as the SRGAN, which starts as bicubic."""
    folder = tmp_path_factory.mktemp("load") / "checkpoint"
    folder.mkdir()
    model = generator.build("fast", 2, seed=5)
    checkpoint_models.save_model(folder, "srgan", model, manifest(best={}))
    return folder


def test_import_srgan_imports_nothing_heavy():
    code = "import sys, srgan; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & set(HEAVY)


def test_srgan_offers_at_most_six_names():
    assert len(srgan.__all__) <= 6
    assert all(callable(getattr(srgan, name)) for name in srgan.__all__)
    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        _ = srgan.unknown


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32, np.float64, ">i2"])
def test_load_gives_a_function_from_low_dose_hu_to_hu(checkpoint, dtype):
    low = np.random.default_rng(0).integers(0, 200, (12, 20)).astype(dtype)
    hu = srgan.load(checkpoint)(low)
    assert (hu.shape, hu.dtype) == ((24, 40), np.float32)
    assert np.abs(hu - bicubic(low.astype(np.float32), 2)).max() < 0.1


def test_load_clips_and_ignores_the_policy_that_keras_has(checkpoint):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        enhance = srgan.load(str(checkpoint), 1)
        assert keras.mixed_precision.global_policy().name == "mixed_bfloat16"
    finally:
        keras.mixed_precision.set_global_policy("float32")
    low = np.full((8, 8), 40.25)
    assert np.abs(enhance(low) - 40.25).max() < 0.01
    assert enhance(low - 3000).min() == -1024


def test_load_ignores_what_else_was_set_in_keras_and_leaves_it_set(checkpoint):
    low = np.random.default_rng(0).integers(0, 200, (12, 20))
    wanted = srgan.load(checkpoint)(low)
    config = keras.config
    before = config.floatx(), config.epsilon(), config.image_data_format()
    try:
        for k, number in enumerate((0.1, 1e-7)):
            config.set_floatx(("float64", "float16")[k])
            config.set_epsilon(number)
            config.set_image_data_format("channels_first")
            assert np.array_equal(srgan.load(checkpoint)(low), wanted)
            assert (config.epsilon(), config.image_data_format()) == (number, "channels_first")
    finally:
        config.set_floatx(before[0])
        config.set_epsilon(before[1])
        config.set_image_data_format(before[2])


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 8, 8)), np.zeros((8, 8), complex), np.full((8, 8), np.nan), "hu", None]
)
def test_enhance_refuses_what_is_no_slice(checkpoint, wrong):
    with pytest.raises(ValueError, match="a slice is a 2-D array"):
        srgan.load(checkpoint)(wrong)


def test_load_with_ensemble_is_the_mean_of_the_eight_passes(tmp_path, monkeypatch):
    made_networks.make_small(monkeypatch)
    made_networks.save(tmp_path, scale=1, best={})
    low = np.random.default_rng(1).normal(0, 50, (11, 14))
    network, passes = srgan.load(tmp_path), []
    for k in range(4):
        passes.append(np.rot90(network(np.rot90(low, k)), -k))
        passes.append(np.flip(np.rot90(network(np.rot90(np.flip(low, 1), k)), -k), 1))
    hu = srgan.load(tmp_path, ensemble=True)(low)
    np.testing.assert_allclose(hu, np.mean(passes, 0), atol=0.01)
    assert np.abs(hu - passes[0]).max() > 0.1


def test_load_without_such_a_network_is_one_clear_line(checkpoint, tmp_path):
    with pytest.raises(UserError, match="needs the SRResNet, which the checkpoint does not have"):
        srgan.load(checkpoint, strength=0)
    with pytest.raises(ValueError, match="strength 2 is not from 0 to 1"):
        srgan.load(checkpoint, strength=2)
    with pytest.raises(UserError, match=r"no trained model in .*none; .*another folder"):
        srgan.load(tmp_path / "none")


@pytest.fixture
def series(tmp_path) -> Path:
    """A DICOM series of four slices of 24 x 32 pixels, the last one damaged."""
    for z in range(4):
        values = np.random.default_rng(z).integers(-950, 100, (24, 32), np.int16)
        made_dicom.write(
            tmp_path / "patient7" / f"{z}.dcm", z=2.5 * z, values=values, InstanceNumber=z,
            SOPInstanceUID=f"1.2.{z}",
        )  # fmt: skip
    path = tmp_path / "patient7" / "3.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    return tmp_path / "patient7"


def test_a_scan_is_read_enhanced_and_written_in_its_place(checkpoint, series, tmp_path):
    network, scan = srgan.load(checkpoint), srgan.read_scan(series)
    assert (scan.hu.shape, scan.hu.dtype) == ((3, 24, 32), np.int16)
    assert (scan.spacing_mm, scan.z_mm) == ((0.7, 0.8), (0, 2.5, 5))
    hu = srgan.enhance(network, scan.hu, "low-resolution")
    assert (hu.shape, hu.dtype) == ((3, 48, 64), np.float32)
    np.testing.assert_array_equal(hu[1], network(scan.hu[1]))
    native = srgan.enhance(network, scan.hu[0], "native")
    assert native.shape == (24, 32)
    srgan.write_scan(tmp_path / "out", native[None].repeat(3, 0), scan, "a test")
    made = [pydicom.dcmread(path) for path in sorted((tmp_path / "out").iterdir())]
    assert [d.ImagePositionPatient[2] for d in made] == [0, 2.5, 5]
    assert {d.SeriesDescription for d in made} == {"a test"}
    np.testing.assert_array_equal(made[2].pixel_array, np.rint(native).clip(-1024))


def test_what_cannot_be_enhanced_or_written_is_refused(checkpoint, series, tmp_path):
    network, scan = srgan.load(checkpoint), srgan.read_scan(series)
    with pytest.raises(UserError, match="low-resolution to enlarge 24 x 32 pixels to 48 x 64"):
        srgan.enhance(network, scan.hu)
    with pytest.raises(ValueError, match="a scan is"):
        srgan.enhance(network, np.zeros(3))
    for hu in (scan.hu[:2], scan.hu[:, :, :31], scan.hu * np.nan):
        with pytest.raises(ValueError, match="HU"):
            srgan.write_scan(tmp_path / "out", hu, scan, "a test")
    with pytest.raises(UserError, match="does not exist"):
        srgan.read_scan(tmp_path / "none")
    assert os.listdir(tmp_path) == ["patient7"]


@pytest.mark.parametrize("page", ["README.md", "docs/enhance.md"])
def test_examples_of_the_pages_run(checkpoint, series, page, tmp_path, monkeypatch):
    made_shipped.write(tmp_path / "shipped", scales=(1,))
    monkeypatch.setattr(shipped_weights, "FOLDER", tmp_path / "shipped")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.S)
    example = next(block for block in blocks if "srgan.load" in block)
    monkeypatch.chdir(series.parent)
    shutil.copytree(checkpoint, series.parent / "checkpoint")
    names = {}
    exec(example, names)
    assert names["hu"].shape == names["scan"].hu.shape == (3, 24, 32)
    assert len(os.listdir("written")) == 3
