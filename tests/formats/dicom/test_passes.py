"""Slices at one position: copies, then passes, phases and echoes."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from srgan.formats.dicom import passes, series
from srgan.formats.dicom.header import PASS_TAGS, Header, read_header
from tests.helpers.made_chest import body, chest, lungs
from tests.helpers.made_dicom import ct_slice, stored_values, write, write_compressed


def header(folder, name: str, shift: int = 0, **changes) -> Header:
    """A slice whose pixels are those of any other with its shift."""
    return read_header(write(folder / f"{name}.dcm", values=stored_values() + shift, **changes))


def used(headers) -> set[str]:
    """Names of the files that `series.group` uses, which are one scan at most."""
    scans, skipped = series.group(headers)
    assert len(scans) <= 1
    files = [path for scan in scans for path in scan.files]
    assert sorted([*files, *(s.path for s in skipped)]) == sorted(h.path for h in headers)
    return {path.stem for path in files}


def reasons(headers) -> dict[str, tuple[str, str]]:
    return {s.path.stem: (s.reason, s.detail) for s in series.group(headers)[1]}


@pytest.fixture(scope="module")
def one_header(tmp_path_factory) -> Header:
    return header(tmp_path_factory.mktemp("one"), "a")


# ---- copies ----


def test_what_is_left_out_names_the_whole_path_of_the_slice_that_is_used(tmp_path):
    folder = tmp_path / ("long " * 20) / ("name " * 20)
    first = header(folder, "a")
    made = [first, header(tmp_path, "copy", InstanceNumber=8)]
    made.append(header(tmp_path, "other", 1, InstanceNumber=9))
    assert used(made) == {"a"}
    assert reasons(made) == {
        "copy": ("duplicate", f"same pixels as {first.path}"),
        "other": ("duplicate position", f"other pixels at the position of {first.path}"),
    }


def test_the_first_instance_number_stays(tmp_path):
    made = [header(tmp_path, "a", InstanceNumber=7), header(tmp_path, "b", 1, InstanceNumber=3)]
    assert used(made) == {"b"}


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_copies_in_another_encoding_are_found_by_their_pixels(tmp_path, syntax):
    dataset = ct_slice(z=0)
    dataset.file_meta.TransferSyntaxUID = syntax
    made = [header(tmp_path, "plain"), read_header(write(tmp_path / "x.dcm", dataset))]
    dataset = ct_slice(z=0, values=stored_values() + 1024, RescaleIntercept="-1024")
    made.append(read_header(write(tmp_path / "y.dcm", dataset)))
    made.append(read_header(write_compressed(tmp_path / "rle", RLELossless)[0]))
    assert len(used(made)) == 1
    assert {reason for reason, _ in reasons(made).values()} == {"duplicate"}


def test_deflated_slices_are_compared_by_their_pixels(tmp_path):
    made = []
    for name, shift in (("a", 0), ("b", 0), ("c", 1)):
        dataset = ct_slice(values=stored_values() + shift)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        made.append(read_header(write(tmp_path / f"{name}.dcm", dataset)))
    assert used(made) == {"a"}
    assert [reasons(made)[name][0] for name in "bc"] == ["duplicate", "duplicate position"]


def test_files_copied_twice_are_no_second_pass(tmp_path):
    made = []
    for z in range(3):
        for copy in range(2):
            tags = {"AcquisitionNumber": copy, "ContentTime": f"1010{copy}{z}"}
            made.append(header(tmp_path, f"{z}{copy}", z, z=z, **tags))
    made.append(header(tmp_path, "20 pass", 90, z=0, AcquisitionNumber=2))
    assert used(made) == {"00", "10", "20"}
    found = reasons(made)
    assert [found[name][0] for name in ("01", "11", "21")] == ["duplicate"] * 3
    assert found["20 pass"][0] == "another pass of its series"


def test_a_file_that_cannot_be_read_again_is_no_copy(tmp_path):
    made = [header(tmp_path, "a"), header(tmp_path, "b")]
    made[0].path.unlink()
    assert used(made) == {"b"}
    assert reasons(made)["a"][0] == "cannot be read"


# ---- passes ----

TOLD_BY = {
    "AcquisitionNumber": (1, 2),
    "TemporalPositionIdentifier": (9, 10),
    "EchoNumbers": (1, 2),
    "DiffusionBValue": (0.0, 800.0),
    "ConvolutionKernel": ("B30f", "B70f"),
    "TriggerTime": ("90.5", "700"),
    "ContentTime": ("090000.5", "101500"),
}


def two_passes(folder, tag: str, n_first: int, n_second: int) -> list[Header]:
    """Passes of some slices each, from one position on."""
    first, second = TOLD_BY[tag]
    made = [header(folder, f"first {z}", z, z=z, **{tag: first}) for z in range(n_first)]
    shift = 100
    return made + [
        header(folder, f"second {z}", shift + z, z=z, **{tag: second}) for z in range(n_second)
    ]


@pytest.mark.parametrize("tag", PASS_TAGS)
def test_the_larger_of_two_passes_is_used_and_the_other_is_listed_as_such(tmp_path, tag):
    made = two_passes(tmp_path, tag, 2, 3)
    assert used(made) == {"second 0", "second 1", "second 2"}
    found = reasons(made)
    assert {reason for reason, _ in found.values()} == {"another pass of its series"}
    values = [str(made[i].pass_values[PASS_TAGS.index(tag)]) for i in (0, -1)]
    expected = f"{tag} {values[0]}; {tag} {values[1]} has more slices and is used"
    assert found["first 0"][1] == expected


@pytest.mark.parametrize("tag", PASS_TAGS)
def test_of_equal_passes_the_lower_value_is_used(tmp_path, tag):
    made = two_passes(tmp_path, tag, 2, 2)
    assert used(made) == {"first 0", "first 1"}
    assert "comes first and is used" in reasons(made)["second 1"][1]


def test_a_time_that_differs_on_every_slice_tells_passes(tmp_path):
    made = []
    for i, z in enumerate([0, 1, 2, 0, 1, 2, 3]):
        made.append(header(tmp_path, f"{i}", i, z=z, ContentTime=f"1200{i:02}.25"))
    assert used(made) == {"3", "4", "5", "6"}


def test_the_tag_of_fewest_values_tells_passes(tmp_path):
    """Step and shoot: two phases at each place, an acquisition each, before the table moves."""
    made = []
    for i, (z, phase) in enumerate([(z, phase) for z in range(4) for phase in (1, 2)]):
        tags = {"AcquisitionNumber": i + 1, "TemporalPositionIdentifier": phase}
        made.append(header(tmp_path, f"{z} {phase}", i, z=z, **tags))
    assert used(made) == {"0 1", "1 1", "2 1", "3 1"}


def test_two_tags_together_tell_what_neither_tells(tmp_path):
    made = []
    for i, (z, phase, kernel) in enumerate(
        [(z, phase, kernel) for z in range(2) for phase in (1, 2) for kernel in ("B30f", "B70f")]
    ):
        tags = {"AcquisitionNumber": phase, "ConvolutionKernel": kernel}
        made.append(header(tmp_path, f"{z} {phase} {kernel}", i, z=z, **tags))
    assert used(made) == {"0 1 B30f", "1 1 B30f"}
    assert reasons(made)["1 2 B70f"][1] == (
        "AcquisitionNumber 2, ConvolutionKernel B70f; "
        "AcquisitionNumber 1, ConvolutionKernel B30f comes first and is used"
    )


def test_stations_of_a_long_scan_share_a_border_and_are_all_used(tmp_path):
    made = [header(tmp_path, f"1 {z}", z, z=z, AcquisitionNumber=1) for z in range(5)]
    made += [header(tmp_path, f"2 {z}", 50 + z, z=z, AcquisitionNumber=2) for z in range(4, 8)]
    assert used(made) == {f"1 {z}" for z in range(5)} | {"2 5", "2 6", "2 7"}
    assert list(reasons(made)) == ["2 4"]


def test_passes_in_two_stations_each_are_not_mixed(tmp_path):
    made = []
    for acquisition, (start, shift) in enumerate([(0, 0), (3, 0), (0, 100), (3, 100)]):
        for z in range(start, start + 3):
            name = f"{shift} {z}"
            made.append(
                header(tmp_path, name, shift + z, z=z, AcquisitionNumber=acquisition)
            )  # fmt: skip
    assert used(made) == {f"0 {z}" for z in range(6)}


def test_without_a_tag_that_tells_the_first_slice_of_a_position_stays(tmp_path):
    tags = {"AcquisitionNumber": 1, "ContentTime": "101500"}
    made = [header(tmp_path, f"{z} {i}", 9 * z + i, z=z, **tags) for z in (0, 1) for i in (0, 1)]
    assert used(made) == {"0 0", "1 0"}
    assert {reason for reason, _ in reasons(made).values()} == {"duplicate position"}


SLICES = st.tuples(st.integers(0, 6), st.sampled_from(["", "1", "2", "x"]))


@given(st.lists(SLICES, max_size=20))
def test_slices_of_any_mixture_of_passes_are_kept_or_left_out(one_header, slices):
    made = [
        replace(one_header, path=Path(f"{i}"), z_mm=z, pass_values=(value, *[""] * 6))
        for i, (z, value) in enumerate(slices)
    ]
    kept, skipped = passes.one_at_each_place(passes.places(made))
    positions = [h.z_mm for h in kept]
    assert positions == sorted(set(positions))
    assert {item.path for item in [*kept, *skipped]} == {header.path for header in made}
    assert len(kept) + len(skipped) == len(made)
    if len(set(slices)) == len(slices):  # the tag tells
        assert len(kept) >= max(Counter(value for _, value in slices).values(), default=0)
    else:
        assert positions == sorted({z for z, _ in slices})


def test_values_are_compared_as_numbers_and_words_come_last(tmp_path):
    order = ["", "-1", "2", "10.5", "a", "b", "nan"]
    keys = [passes._as_number(text) for text in order]
    assert keys == sorted(keys)
    assert passes._as_number("01") == passes._as_number(" 1.0")
    assert math.isinf(passes._as_number("nan")[0])


# ---- masks and masked copies with the UIDs of their source ----

CT = chest(1)[:1]
INSIDE = body(CT)
WRITTEN_OVER = {
    "a mask of 0 and 1": (INSIDE.astype("int16"), "not HU"),
    "a mask less 1024": (INSIDE - np.int16(1024), "not HU"),
    "a lost offset": (CT + 1024, "not HU"),
    "the lungs in 170": (np.where(lungs(CT), CT, 170).astype("int16"), "not HU"),
    "the body in -1024": (np.where(INSIDE, CT, -1024).astype("int16"), "duplicate position"),
}


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize(("copy", "why"), WRITTEN_OVER.values(), ids=WRITTEN_OVER)
def test_what_was_written_over_the_pixels_of_a_slice_is_left_out(tmp_path, copy, why, order):
    kept, other = order
    headers = [
        read_header(write(tmp_path / f"{name}.dcm", values=values))
        for name, values in ((kept, CT[0]), (other, copy[0]))
    ]
    assert used(headers) == {kept}
    assert reasons(headers)[other][0] == why


def test_two_slices_of_air_are_told_apart_as_passes_are(tmp_path):
    air = (CT[0] - CT[0].max() - 500).clip(-1024)
    headers = [
        read_header(write(tmp_path / f"{n}.dcm", values=air + n, AcquisitionNumber=n))
        for n in (2, 1)
    ]
    assert used(headers) == {"1"}


@pytest.mark.filterwarnings("error")
def test_stored_values_that_differ_below_air_alone_are_no_masked_copy(tmp_path):
    headers = []
    for name, below in (("a", -1500), ("b", -2000)):
        values = CT[0].copy()
        values[0] = below  # both are -1024 HU
        headers.append(read_header(write(tmp_path / f"{name}.dcm", values=values)))
    assert used(headers) == {"a"}
    assert reasons(headers)["b"][0] == "duplicate position"
