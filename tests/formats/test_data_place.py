"""A data file may lie, by a link, anywhere in the folder that the user named, and nowhere else."""

import os

import numpy as np
import pytest
import SimpleITK as sitk

from srgan.dataset import catalogue
from srgan.formats import readers
from srgan.formats.data_place import check_place
from srgan.system.errors import UserError
from srgan.whole_scans import single_scan
from tests.conftest import small_chest
from tests.helpers.refused import refused

VALUES = np.maximum(small_chest(0), -1024)


def write_volume(folder, ending):
    folder.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(VALUES)
    image.SetSpacing((0.7, 0.7, 2.5))
    sitk.WriteImage(image, str(folder / f"1.2.3{ending}"))


def annexed(path, tree):
    """Put a file where git-annex has its content; a relative link to that takes its place."""
    place = tree / ".git/annex/objects/X1/2Y" / f"SHA256E-{path.suffix[1:]}"
    place.mkdir(parents=True)
    content = place / f"{place.name}{path.suffix}"
    path.rename(content)
    content.chmod(0o444)
    path.symlink_to(os.path.relpath(content, path.parent))
    return content


def all_slices(folder):
    (scan,) = catalogue.find(folder).scans
    read = readers.reader(scan)
    return np.stack([read(i) for i in range(len(scan.slices))])


@pytest.mark.parametrize("header", [".mhd", ".nhdr"])
@pytest.mark.parametrize("linked", ["header", "data", "header and data"])
@pytest.mark.parametrize("below", ["", "a/b"])
def test_a_volume_of_git_annex_is_read(tmp_path, header, linked, below):
    write_volume(tmp_path / below, header)
    if "header" in linked:
        annexed(tmp_path / below / f"1.2.3{header}", tmp_path)
    if "data" in linked:
        annexed(tmp_path / below / "1.2.3.raw", tmp_path)
    np.testing.assert_array_equal(all_slices(tmp_path), VALUES)


def test_the_folder_may_be_named_by_a_link_or_relatively(tmp_path, monkeypatch):
    write_volume(tmp_path / "there" / "subset0", ".mhd")
    annexed(tmp_path / "there" / "subset0" / "1.2.3.raw", tmp_path / "there")
    (tmp_path / "here").symlink_to(tmp_path / "there")
    np.testing.assert_array_equal(all_slices(tmp_path / "here"), VALUES)
    monkeypatch.chdir(tmp_path / "there")
    np.testing.assert_array_equal(all_slices("."), VALUES)


@pytest.mark.parametrize("ending", [".mhd", ".nhdr"])
def test_a_link_that_leaves_the_folder_is_refused(tmp_path, ending):
    write_volume(tmp_path / "in", ending)
    content = annexed(tmp_path / "in" / "1.2.3.raw", tmp_path)
    found = catalogue.find(tmp_path / "in")
    assert found.found == len(found.skipped) == 2
    header, data = found.skipped
    assert header.reason == "data file outside the folder"
    assert data.reason == "its header is skipped"
    assert data.detail == f"{header.path}: {header.reason}"
    assert str(content) not in str(found.skipped)
    with pytest.raises(UserError, match="data file outside the folder"):
        single_scan.find(tmp_path / "in" / f"1.2.3{ending}")


def test_a_link_to_nothing_and_a_loop_are_missing(tmp_path):
    loop = tmp_path / "loop.raw"
    loop.symlink_to(loop)
    skip = refused(check_place, tmp_path / "a.mhd", loop, tmp_path)
    assert skip.reason == "data file is missing"
    write_volume(tmp_path, ".mhd")
    annexed(tmp_path / "1.2.3.raw", tmp_path).unlink()
    reasons = {item.path.name: item.reason for item in catalogue.find(tmp_path).skipped}
    assert reasons["1.2.3.mhd"] == "data file is missing"
