"""`phantom.write_scans`: a folder of scans that is complete or not, and reads back."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from srgan.phantom import chest, write_scans
from srgan.system import files


@pytest.fixture
def folder(tmp_path):
    write_scans.write(tmp_path / "made", seed=3, patients=2, slices=2)
    return tmp_path / "made"


def test_series_uids_are_unique_and_those_of_a_uuid():
    uids = {write_scans.series_uid(seed, i) for seed in (0, 1) for i in range(40)}
    assert len(uids) == 80
    assert all(u.startswith("2.25.") and len(u) <= 64 for u in uids)


def test_written_scans_read_back_as_the_chest(folder):
    hu, spacing = chest.chest(seed=3, patient=1, slices=2)
    path = folder / "subset1" / f"{write_scans.series_uid(3, 1)}.mhd"
    image = sitk.ReadImage(str(path))
    assert image.GetPixelID() == sitk.sitkInt16
    assert image.GetSpacing() == pytest.approx(spacing, rel=1e-5)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), hu)


def test_a_folder_is_complete_only_with_all_bytes_and_this_seed(folder):
    assert write_scans.is_complete(folder, 3)
    assert not write_scans.is_complete(folder, 4)
    assert not write_scans.is_complete(folder / "nowhere", 3)
    raw = next(folder.glob("subset*/*.raw"))
    content = raw.read_bytes()
    raw.write_bytes(content[:-1])
    assert not write_scans.is_complete(folder, 3)
    raw.write_bytes(content)
    assert write_scans.is_complete(folder, 3)
    next(folder.glob("subset*/*.mhd")).unlink()
    assert not write_scans.is_complete(folder, 3)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2, "files": {}}', '{"files": 3}'])
def test_an_unreadable_manifest_means_an_incomplete_folder(folder, text):
    (folder / write_scans.MANIFEST).write_text(text)
    assert not write_scans.is_complete(folder, 3)


def test_an_interrupted_folder_is_incomplete_and_written_again(tmp_path, monkeypatch):
    def stop(seed, i, slices):
        if i == 1:
            raise KeyboardInterrupt
        return made(seed, i, slices)

    made = chest.chest
    monkeypatch.setattr(write_scans, "chest", stop)
    with pytest.raises(KeyboardInterrupt):
        write_scans.write(tmp_path, seed=3, patients=2, slices=1)
    monkeypatch.undo()
    assert not write_scans.is_complete(tmp_path, 3)
    stale = tmp_path / "subset0" / ".2.25.1.999999999.part.raw"  # of a process that is gone
    stale.touch()
    write_scans.write(tmp_path, seed=3, patients=2, slices=1)
    assert write_scans.is_complete(tmp_path, 3)
    assert not [p for p in tmp_path.rglob("*") if ".part" in p.name]


def test_each_file_is_flushed_before_it_gets_its_name(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(files, "sync", lambda path: flushed.append(path.parent / path.suffix))
    write_scans.write(tmp_path, seed=3, patients=1, slices=1)
    here = tmp_path / "subset0"
    assert flushed == [tmp_path / ".json", here / ".raw", here / ".mhd", tmp_path / ".json"]


def test_another_seed_replaces_the_files_of_the_manifest_and_no_others(folder):
    mine, outside = folder / "subset0" / "mine.raw", folder.parent / "outside.raw"
    for path in (mine, outside):
        path.write_bytes(b"mine")
    manifest = json.loads((folder / write_scans.MANIFEST).read_text())
    manifest["files"]["../outside.raw"] = 4
    (folder / write_scans.MANIFEST).write_text(json.dumps(manifest))
    write_scans.write(folder, seed=4, patients=1, slices=1)
    names = {p.name for p in folder.glob("subset*/*")}
    uid = write_scans.series_uid(4, 0)
    assert names == {f"{uid}.mhd", f"{uid}.raw", "mine.raw"}
    assert outside.exists()
