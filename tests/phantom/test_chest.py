"""`srgan.phantom.chest`: chests that look like CT in numbers, and files that read back."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from srgan.masks import body_mask, has_body, lung_mask
from srgan.phantom import chest
from srgan.system import files


@pytest.fixture(scope="module")
def volume():
    return chest.chest(seed=0, patient=0)[0]


@pytest.fixture
def folder(tmp_path):
    chest.write(tmp_path / "made", seed=3, patients=2, slices=2)
    return tmp_path / "made"


def test_a_chest_is_a_function_of_its_arguments(volume):
    again, spacing = chest.chest(seed=0, patient=0)
    np.testing.assert_array_equal(again, volume)
    assert again.shape == (6, 512, 512)
    assert again.dtype == np.int16
    assert 0.6 <= spacing[0] == spacing[1] <= 0.9
    assert 20 < spacing[2] < 60


def test_patients_and_seeds_differ(volume):
    for seed, patient in ((0, 1), (1, 0)):
        other = chest.chest(seed, patient, slices=1)[0][0]
        assert (other != volume[0]).mean() > 0.5


def test_patient_does_not_depend_on_others_and_prefix_of_uid_is_a_uuids():
    uids = {chest.series_uid(seed, i) for seed in (0, 1) for i in range(40)}
    assert len(uids) == 80
    assert all(u.startswith("2.25.") and len(u) <= 64 for u in uids)


def test_every_slice_is_a_chest_slice(volume):
    for hu in volume:
        assert has_body(hu)
        assert lung_mask(hu).mean() > 0.01


def test_tissues_lie_in_their_ranges(volume):
    middle = volume[3].astype(float)
    body, lung = body_mask(middle), lung_mask(middle)
    assert 0.3 < body.mean() < 0.8
    assert 0.1 < lung.mean() < 0.5
    assert -900 < np.median(middle[lung]) < -780
    air = middle[~body & (middle > -1020)]
    assert -1010 < np.median(air) < -940
    soft = body & ~lung
    assert ((middle > 0) & (middle < 110) & soft).sum() > 0.15 * soft.sum()  # muscle, blood
    assert ((middle > -150) & (middle < -60) & soft).sum() > 0.1 * soft.sum()  # fat
    assert 0.005 < ((middle > 300) & soft).sum() / soft.sum() < 0.15  # bone
    assert 400 < middle[soft].max() < 2000


def test_lungs_grow_from_the_apex_downwards(volume):
    area = [lung_mask(hu).mean() for hu in volume]
    assert area[-1] < area[-2] < area[-3]  # feet first: the last slice is the apex


def test_files_read_back_as_the_chest(folder):
    hu, spacing = chest.chest(seed=3, patient=1, slices=2)
    path = folder / "subset1" / f"{chest.series_uid(3, 1)}.mhd"
    image = sitk.ReadImage(str(path))
    assert image.GetPixelID() == sitk.sitkInt16
    assert image.GetSpacing() == pytest.approx(spacing, rel=1e-5)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), hu)


def test_one_slice_has_a_thickness():
    assert chest.chest(0, 0, slices=1)[1][2] > 0


def test_complete_only_when_whole_and_of_this_seed(folder):
    assert chest.is_complete(folder, 3)
    assert not chest.is_complete(folder, 4)
    assert not chest.is_complete(folder / "nowhere", 3)
    raw = next(folder.glob("subset*/*.raw"))
    content = raw.read_bytes()
    raw.write_bytes(content[:-1])
    assert not chest.is_complete(folder, 3)
    raw.write_bytes(content)
    assert chest.is_complete(folder, 3)
    next(folder.glob("subset*/*.mhd")).unlink()
    assert not chest.is_complete(folder, 3)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2, "files": {}}', '{"files": 3}'])
def test_a_manifest_that_cannot_be_read_is_none(folder, text):
    (folder / chest.MANIFEST).write_text(text)
    assert not chest.is_complete(folder, 3)


def test_interrupted_then_written_again(tmp_path, monkeypatch):
    def stop(seed, i, slices):
        if i == 1:
            raise KeyboardInterrupt
        return made(seed, i, slices)

    made = chest.chest
    monkeypatch.setattr(chest, "chest", stop)
    with pytest.raises(KeyboardInterrupt):
        chest.write(tmp_path, seed=3, patients=2, slices=1)
    monkeypatch.undo()
    assert not chest.is_complete(tmp_path, 3)
    stale = tmp_path / "subset0" / ".2.25.1.999999999.part.raw"  # of a process that is gone
    stale.touch()
    chest.write(tmp_path, seed=3, patients=2, slices=1)
    assert chest.is_complete(tmp_path, 3)
    assert not [p for p in tmp_path.rglob("*") if ".part" in p.name]


def test_a_file_is_flushed_before_it_has_its_name(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(files, "sync", lambda path: flushed.append(path.parent / path.suffix))
    chest.write(tmp_path, seed=3, patients=1, slices=1)
    here = tmp_path / "subset0"
    assert flushed == [tmp_path / ".json", here / ".raw", here / ".mhd", tmp_path / ".json"]


def test_another_seed_replaces_its_own_files_and_no_others(folder):
    mine, outside = folder / "subset0" / "mine.raw", folder.parent / "outside.raw"
    for path in (mine, outside):
        path.write_bytes(b"mine")
    manifest = json.loads((folder / chest.MANIFEST).read_text())
    manifest["files"]["../outside.raw"] = 4
    (folder / chest.MANIFEST).write_text(json.dumps(manifest))
    chest.write(folder, seed=4, patients=1, slices=1)
    names = {p.name for p in folder.glob("subset*/*")}
    uid = chest.series_uid(4, 0)
    assert names == {f"{uid}.mhd", f"{uid}.raw", "mine.raw"}
    assert outside.exists()
