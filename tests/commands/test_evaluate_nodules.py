"""--run test with an annotations.csv: a nodule of known size in a synthetic chest."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from srgan import settings as all_settings
from srgan.commands import evaluate as run
from srgan.commands import evaluate_nodules, study_slices
from srgan.dataset import build_store as stores
from srgan.dataset.select_slices import pixels_sha256
from srgan.evaluation import baselines, disc_phantom
from srgan.lowdose.photon_cache import SlicePhotons
from srgan.masks import lung_mask
from srgan.phantom import chest
from srgan.report import example_pictures
from srgan.settings import dataset_paths, degradation_of
from srgan.training import checkpoint_models
from tests.helpers.made_manifest import trained

DIAMETER_MM, HU = 16.0, 30.0
SPACING = (1.4, 1.4, 40.0)


def write_patient(folder, uid, patient):
    """A slice of a chest of 256 x 256, flipped as some of LUNA16 are, with a nodule in lung.

    Returns the nodule's place in mm.
    """
    volume = chest.chest(0, patient, 3)[0][1:2, ::2, ::2].copy()
    inside = ndimage.distance_transform_edt(lung_mask(volume[0]))
    row, column = np.unravel_index(inside.argmax(), inside.shape)
    far = SPACING[0] * np.hypot(*np.ogrid[-row : 256 - row, -column : 256 - column])
    share = np.clip(0.5 - (far - DIAMETER_MM / 2) / SPACING[0], 0, 1)
    volume[0] = np.rint(volume[0] + share * (HU - volume[0]))
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing(SPACING)
    image.SetOrigin((170.0, 150.0, -310.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(folder / f"{uid}.mhd"))
    return image.TransformIndexToPhysicalPoint((int(column), int(row), 0))


@pytest.fixture
def tested(tmp_path, monkeypatch):
    """Three patients with a nodule each; one of them was trained on, one validated on."""
    data = tmp_path / "data"
    data.mkdir()
    points = {f"1.2.3.{k}": write_patient(data, f"1.2.3.{k}", k) for k in range(3)}
    lines = [f"{uid},{x},{y},{z},{DIAMETER_MM}" for uid, (x, y, z) in points.items()]
    head = "seriesuid,coordX,coordY,coordZ,diameter_mm"
    (data / "annotations.csv").write_text("\r\n".join([head, *lines, "7.7,1,2,3,5"]))
    folders = {name: tmp_path / name.removesuffix("_dir") for name in ("store_dir", "report_dir")}
    given = {"data": data, "checkpoint_dir": tmp_path, **folders}
    store = stores.open_or_build(dataset_paths(all_settings.make(given)))
    seen = [f"patient:{store.patients[name]}" for name in ("P0001", "P0002")]
    made = trained(*seen, settings={"generator": "fast", "scale": 4})
    monkeypatch.setattr(checkpoint_models, "load", lambda folder: made)
    blank = baselines.classical(4)["bicubic"]
    monkeypatch.setattr(run, "networks", lambda *_: {"srgan": lambda low: blank(low) * 0 - 850})
    monkeypatch.setattr(disc_phantom, "discs_of", lambda *_, **__: None)
    monkeypatch.setattr(
        example_pictures, "figure_to_png", lambda figure, path: path.write_bytes(b"")
    )
    monkeypatch.setattr(run, "tuned_denoiser", lambda *_: ({}, ""))
    return SimpleNamespace(
        run=lambda: run.test(given | {"details": True}),
        report=tmp_path / "report",
        data=data,
        store=store,
    )


def test_nodule_of_a_tested_patient_is_measured(tested, capsys):
    assert tested.run() == 0
    said = capsys.readouterr()
    assert "nodules: 1 of 4 rows of annotations.csv are used" in said.err
    assert "2 of patients that are not tested" in said.err
    assert "1 annotated nodule of 1 patient in 1 slice," in said.out
    with open(tested.report / "nodules.csv", newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    normal = rows["bicubic"]
    assert (normal["pseudonym"], normal["nodule"]) == ("P0003", "1")
    assert float(normal["normal_dose_contrast_hu"]) == pytest.approx(30 + 850, abs=60)
    assert float(normal["normal_dose_diameter_mm"]) == pytest.approx(DIAMETER_MM, abs=1)
    assert float(normal["contrast_ratio"]) == pytest.approx(1, abs=0.1)
    assert (normal["vanished"], rows["srgan"]["vanished"]) == ("0", "1")
    summary = json.loads((tested.report / "summary.json").read_text())["nodules"]
    assert summary["methods"]["srgan"]["vanished"] == 1
    assert "What became of the nodules" in (tested.report / "index.html").read_text()
    for name in ("nodules.csv", "summary.json", "index.html"):
        text = (tested.report / name).read_text()
        assert "1.2.3." not in text
        assert str(tested.data) not in text


def test_slices_through_nodules_have_photons_and_were_not_seen_by_a_checkpoint(
    small_scans, tmp_path, capsys
):
    data = tmp_path / "data"
    data.mkdir()
    for each in small_scans.iterdir():
        (data / each.name).symlink_to(each)
    given = {"data": data, "store_dir": tmp_path / "store", "noise": "projection", "photons": 4e5}
    settings = all_settings.make(given)
    store = stores.open_or_build(dataset_paths(settings))
    rows = [f"{store.patients['P0002']},{x},30,{z},6" for x, z in ((20, 0), (40, 0), (20, 5))]
    (data / "annotations.csv").write_text(
        "\n".join(["seriesuid,coordX,coordY,coordZ,diameter_mm", *rows])
    )
    store = stores.open_or_build(dataset_paths(settings))
    chosen = [i for i, record in enumerate(store.records) if record.pseudonym == "P0002"]
    last = pixels_sha256(store.hu(chosen[-1]))

    def found(*every):
        letters = dict(zip("AB", every, strict=False))
        degradation = degradation_of(settings)
        return evaluate_nodules.slices_of(letters, store, chosen, settings, degradation)

    made = found(trained())
    assert [(item.pseudonym, item.number, item.photons) for item, _ in made] == [
        ("P0002", 1, 4e5), ("P0002", 2, 4e5)
    ]  # fmt: skip
    assert [[spot.number for spot in spots] for _, spots in made] == [[1, 2], [3]]
    assert [spots[0].number for _, spots in found(trained(), trained(f"pixels:{last}"))] == [1]
    capsys.readouterr()


def test_study_slice_has_its_estimated_photons_and_noise():
    known = {"pixels_sha256": "0" * 64, "low_dose_sha256": None}
    record = SimpleNamespace(pseudonym="P1", spacing_mm=(1.0, 1.0), **known)
    store = SimpleNamespace(records=[record], hu=lambda i: None)
    (item,) = study_slices.study_slices(store, [0], [SlicePhotons(2e5, 17.0)])
    assert (item.photons, item.sd_hu) == (2e5, 17.0)
    (item,) = study_slices.study_slices(store, [0], [])
    assert (item.photons, item.sd_hu) == (None, None)
