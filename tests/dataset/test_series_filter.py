"""--series-filter: which series are used, what is said of the others, and that stores differ."""

from pathlib import Path

import pytest

from srgan.cli import parse
from srgan.dataset import build_store, scan_source
from srgan.dataset.scan_source import DatasetPaths
from srgan.dataset.series_filter import parted, passes
from srgan.formats.scan import Scan, Slice
from srgan.system.errors import UserError
from tests.conftest import small_chest, write_scan
from tests.helpers import made_dicom


def scan(series: str, description: str = "", kernel: str = "", kind: str = "dicom") -> Scan:
    path = Path(f"{series}.dcm")
    return Scan(
        kind, series, "p", (Slice(path),), 64, 64, (1.0, 1.0), (path,),
        kernel=kernel, description=description,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b30F", True),
        ("low DOSE", True),
        ("dose", True),
        ("B70", False),
        ("!b30f", False),
        ("!B70", True),
        ("1.2", False),  # the name of a DICOM file does not count
    ],
)
def test_description_or_kernel_contains_the_text_in_any_case(text, expected):
    assert passes(scan("1.2", "Chest, low dose", "B30f"), text) == expected


@pytest.mark.parametrize(("text", "expected"), [("1.2", True), ("!1.2", False), ("b30f", False)])
def test_of_a_volume_the_name_of_its_file_is_compared(text, expected):
    assert passes(scan("1.2", kind="metaimage"), text) == expected


def test_files_of_other_series_are_skipped_with_what_they_are():
    scans = [scan("1", "Lung", "B70f"), scan("2", "Soft", "B30f"), scan("3", kind="metaimage")]
    wanted, skipped = parted(scans, "B30")
    assert [s.series_uid for s in wanted] == ["2"]
    assert {s.reason for s in skipped} == {"left out by --series-filter"}
    assert {str(s.path): s.detail for s in skipped} == {
        "1.dcm": "description 'Lung', kernel 'B70f'",
        "3.dcm": "file 3.dcm",
    }


def test_where_none_is_left_the_series_that_are_there_are_shown():
    scans = [scan(str(i), f"kind {i % 7}", "B30f") for i in range(20)]
    with pytest.raises(UserError) as caught:
        parted(scans, "B70")
    assert caught.value.exit_code == 2
    assert "'B70'" in str(caught.value)
    assert all(f"'kind {i}', kernel 'B30f'" in str(caught.value) for i in range(5))
    assert "2 more" in str(caught.value)
    assert parted([], "B70") == ([], [])  # the catalogue's error
    assert parted(scans, None) == (scans, [])


@pytest.mark.parametrize("verb", ["train", "test"])
def test_the_flag_needs_a_text(verb):
    assert parse([verb, "--series-filter", " ! B30f "])[1] == {"series_filter": "!B30f"}
    for text in ("", " ", "!", "! "):
        with pytest.raises(UserError, match="--series-filter: it is empty"):
            parse([verb, "--series-filter", text])


@pytest.fixture
def two_kernels(tmp_path) -> Path:
    """Three patients of two DICOM series of two slices each, of other kernels."""
    for p in range(3):
        for kernel in ("B30f", "B70f"):
            for i, hu in enumerate(small_chest(seed_of(p, kernel), 2)):
                made_dicom.write(
                    tmp_path / "data" / f"{p}-{kernel}-{i}.dcm", PatientID=f"p{p}", z=2.0 * i,
                    values=hu, SeriesInstanceUID=f"1.2.{p}.{kernel[1:3]}",
                    SeriesDescription=f"Chest {kernel}", ConvolutionKernel=kernel,
                )  # fmt: skip
    return tmp_path / "data"


def seed_of(p: int, kernel: str) -> int:
    return 10 * p + (kernel == "B70f")


def test_a_store_holds_the_wanted_series_and_has_a_folder_of_its_own(two_kernels, tmp_path):
    def opened(text):
        paths = DatasetPaths(two_kernels, tmp_path / "store", series_filter=text)
        return build_store.open_or_build(paths)

    both, soft, sharp = opened(None), opened("b30f"), opened("!b30f")
    assert [len(store.records) for store in (both, soft, sharp)] == [12, 6, 6]
    assert {r.kernel for r in soft.records} == {"B30f"}
    assert {r.kernel for r in sharp.records} == {"B70f"}
    assert (soft.found, soft.used, soft.skipped) == (12, 6, 6)
    assert "left out by --series-filter" in (soft.folder / "skipped.csv").read_text()
    assert len({store.folder for store in (both, soft, sharp)}) == 3
    assert opened("B30F").folder == soft.folder  # letter case does not matter


def test_volumes_are_filtered_wherever_they_are_catalogued(tmp_path):
    """In the one place that the store and the nodules share."""
    for name in ("ct-1", "ct-2", "other"):
        write_scan(tmp_path / "data", name, small_chest(1))
    paths = DatasetPaths(tmp_path / "data", tmp_path / "store", series_filter="ct-")
    found = scan_source.catalogued(scan_source.locate(paths), paths, None)
    assert [s.series_uid for s in found.scans] == ["ct-1", "ct-2"]
    assert {s.path.name for s in found.skipped} == {"other.mhd", "other.raw"}
