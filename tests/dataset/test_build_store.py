"""The store of a folder of scans: built once, reused, rebuilt if it is damaged."""

import csv
import dataclasses
import errno
import json
import random
from pathlib import Path

import numpy as np
import pytest

from srgan import hu_check
from srgan.dataset import catalogue, scan_source
from srgan.dataset import store as stores
from srgan.dataset.build_store import open_or_build
from srgan.dataset.scan_source import DatasetPaths
from srgan.dataset.slice_quotas import hash_order
from srgan.formats import readers
from srgan.formats.scan import Catalogue, Scan, Skipped, Slice
from srgan.phantom import write_scans
from srgan.system import folders
from srgan.system.checksums import write_sealed_json
from srgan.system.errors import BAD_INPUT, TRY_AGAIN, Skip, UserError

ROOT = Path(__file__).parent.parent.parent
SIZE = 32


def body(seed) -> np.ndarray:
    """(32, 32) int16 HU with body, different for every seed."""
    return np.random.default_rng(seed).integers(-100, 200, (SIZE, SIZE)).astype(np.int16)


AIR = np.full((SIZE, SIZE), -1000, np.int16)


def little_body(seed) -> np.ndarray:
    """(32, 32) int16 HU, a sixteenth of it body."""
    return np.where(np.arange(SIZE)[:, None] < 2, body(seed), AIR)


class Folder:
    """A folder of scans whose pixels are in memory; files are there for the fingerprint alone."""

    def __init__(self, path: Path, monkeypatch):
        self.path, self.scans, self.pixels, self.reads = path, [], {}, []
        self.finds = 0
        self.extra = [Skipped(path / "notes.txt", "not DICOM, MetaImage, NIfTI or NRRD")]
        path.mkdir()
        (path / "notes.txt").touch()
        monkeypatch.setattr(catalogue, "find", self.find)
        monkeypatch.setattr(readers, "reader", self.reader)

    def add(self, patient: str, pixels: list, kind="dicom", series="") -> Scan:
        """One scan: each slice an array, or a reason why it cannot be read."""
        series = series or f"1.{len(self.scans)}"
        if kind == "dicom":
            files = tuple(self.path / f"{series}-{i}.dcm" for i in range(len(pixels)))
            slices = tuple(Slice(f, 0, float(i)) for i, f in enumerate(files))
        else:
            files = (self.path / f"{series}.mhd", self.path / f"{series}.raw")
            slices = tuple(Slice(files[0], i, float(i)) for i in range(len(pixels)))
        for file in files:
            file.touch()
        scan = Scan(kind, series, patient, slices, SIZE, SIZE, (0.7, 0.8), files, 120.0, None)
        self.scans.append(scan)
        self.pixels[series] = pixels
        return scan

    def find(self, folder, patients_csv=None, left_out=(), series_filter=None, pairs=False):
        self.finds += 1
        found = len(self.extra) + sum(len(s.files) for s in self.scans)
        return Catalogue(Path(folder), tuple(self.scans), tuple(self.extra), found)

    def reader(self, scan: Scan):
        def read(i: int) -> np.ndarray:
            self.reads.append((scan.series_uid, i))
            pixels = self.pixels[scan.series_uid][i]
            if isinstance(pixels, str):
                raise Skip(pixels)
            hu_check.check_slice(pixels)
            return pixels

        return read


@pytest.fixture
def scans(tmp_path, monkeypatch) -> Folder:
    return Folder(tmp_path / "scans", monkeypatch)


@pytest.fixture
def build(tmp_path, scans, said):
    """build(**paths) opens the store of `scans`; its messages are in build.lines."""

    def build(**given):
        paths = DatasetPaths(data=scans.path, store_dir=tmp_path / "store", **given)
        said.clear()
        store = open_or_build(paths)
        build.lines = list(said)
        assert store.used + store.skipped == store.found
        return store

    return build


def reasons(store) -> dict[str, str]:
    with open(store.folder / "skipped.csv", newline="", encoding="utf-8") as file:
        return {Path(row["path"]).name: row["reason"] for row in csv.DictReader(file)}


def six_patients(scans: Folder, n: int = 3) -> None:
    for p in range(6):
        scans.add(f"p{p}", [body((p, i)) for i in range(n)])


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob(".*.part"))


def test_a_store_holds_the_selected_slices(scans, build):
    six_patients(scans)
    store = build()
    assert (store.found, store.used, store.skipped) == (19, 18, 1)
    assert len(store.records) == 18
    assert {r.role for r in store.records} == {"train", "validation", "test"}
    for i, record in enumerate(store.records):
        patient = store.patients[record.pseudonym]
        hu = store.hu(i)
        assert hu.dtype == np.int16
        assert np.array_equal(hu, body((int(patient[1:]), int(record.z_mm))))
        assert record.spacing_mm == (0.7, 0.8)
        assert record.kvp == 120
        assert record.tube_current_ma is None
    assert sum(len(store.with_role(r)) for r in ("train", "validation", "test")) == 18
    by_patient = {(r.pseudonym, r.role) for r in store.records}
    assert len(by_patient) == 6
    assert reasons(store) == {"notes.txt": "not DICOM, MetaImage, NIfTI or NRRD"}
    text = (store.folder / "index.json").read_text()
    assert "p0" not in text
    assert str(scans.path) not in text


def test_a_store_is_reused_without_reading_scans(scans, build):
    six_patients(scans)
    first = build()
    scans.reads.clear()
    again = build()
    assert again == first
    assert scans.finds == 1
    assert scans.reads == []
    assert build.lines == [f"store: reused {first.folder}"]


def test_the_order_of_scans_does_not_matter(scans, build, tmp_path):
    six_patients(scans)
    first = build()
    random.Random(1).shuffle(scans.scans)
    for path in first.folder.iterdir():
        path.unlink()
    second = build()
    assert second.records == first.records
    record = second.records[5]
    patient = int(second.patients[record.pseudonym][1:])
    assert np.array_equal(second.hu(5), body((patient, int(record.z_mm))))


def test_a_changed_file_makes_another_store(scans, build):
    six_patients(scans)
    first = build()
    (scans.path / "1.0-0.dcm").write_bytes(b"new")
    assert build().folder != first.folder


def _cut(folder):
    path = next(folder.glob("*.npy"))
    path.write_bytes(path.read_bytes()[:-100])


def _overwrite(folder):
    path = next(folder.glob("*.npy"))
    path.write_bytes(b"\xff" * path.stat().st_size)


def _other_pixels(folder):
    path = next(folder.glob("*.npy"))
    content = path.read_bytes()
    path.write_bytes(content[:5000] + b"\x11" * 3000 + content[8000:])


def _other_role(folder):
    path = folder / "index.json"
    path.write_text(path.read_text().replace('"test"', '"train"'))


def _add(path, more):
    path.write_bytes(path.read_bytes() + more)


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _overwrite,
        _other_pixels,
        _other_role,
        lambda f: write_sealed_json(f / "index.json", {"format": 99}),
        lambda f: next(f.glob("*.npy")).unlink(),
        lambda f: (f / "patients.csv").write_text("pseudonym,patient_id\n"),
        lambda f: _add(next(f.glob("*.npy")), b"more"),
        lambda f: _add(f / "split.csv", b"\n"),
    ],
)
def test_a_corrupt_store_is_rebuilt_with_one_message(scans, build, damage):
    six_patients(scans)
    first = build()
    damage(first.folder)
    second = build()
    assert second.records == first.records
    assert sum(line.endswith("): rebuilt") for line in build.lines) == 1
    build()
    assert build.lines == [f"store: reused {first.folder}"]


def test_load_detects_a_flipped_bit_in_any_file(scans, build):
    """In every file, at a hundred seeded places: of the header, of pixels, of the index."""
    six_patients(scans)
    folder = build().folder
    rng, files = random.Random(4), sorted(p for p in folder.iterdir() if p.is_file())
    assert {p.suffix for p in files} == {".npy", ".json", ".csv"}
    for k in range(100):
        path = files[k % len(files)]
        content = bytearray(path.read_bytes())
        # of the arrays the header every second time, which is a small part of them
        last = stores.NPY_HEADER if path.suffix == ".npy" and k % 2 else len(content)
        at, bit = rng.randrange(last), 1 << rng.randrange(8)
        content[at] ^= bit
        path.write_bytes(content)
        with pytest.raises(folders.DAMAGES):
            stores.load(folder)
        content[at] ^= bit
        path.write_bytes(content)
    stores.load(folder)


def test_a_large_store_is_checked_in_part(scans, build, monkeypatch):
    six_patients(scans)
    first = build()
    hashed = []
    monkeypatch.setattr(stores, "CHECKED_BYTES", first.arrays["slices-32x32.npy"].nbytes // 3)
    plain = stores.pixels_sha256
    monkeypatch.setattr(stores, "pixels_sha256", lambda hu: hashed.append(1) or plain(hu))
    build()
    assert len(hashed) == 6


def test_a_rebuilt_store_keeps_noise_and_the_users_files(scans, build):
    six_patients(scans)
    folder = build().folder
    (folder / "noise-0123456789ab").mkdir()
    (folder / "noise-0123456789ab" / "index.json").write_text("noise")
    (folder / "notes.txt").write_text("mine")
    _cut(folder)
    assert build().folder == folder
    assert (folder / "noise-0123456789ab" / "index.json").read_text() == "noise"
    assert (folder / "notes.txt").read_text() == "mine"
    assert [p.name for p in folder.parent.iterdir() if p.is_dir()] == [folder.name]


def test_system_files_do_not_change_the_fingerprint(scans, build):
    """The fingerprint is of the files that the catalogue finds."""
    six_patients(scans)
    folder = build().folder
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
        (scans.path / name).write_text("x")
    assert build().folder == folder
    (scans.path / "notes.txt").write_text("changed")
    assert build().folder != folder


def test_a_file_in_place_of_the_store_folder_is_bad_input(scans, build, tmp_path):
    six_patients(scans)
    (tmp_path / "store").write_text("")
    with pytest.raises(UserError, match="store") as caught:
        build()
    assert caught.value.exit_code == BAD_INPUT


def test_files_that_change_while_they_are_read_are_reported(scans, build, monkeypatch):
    six_patients(scans)
    plain = scans.reader
    monkeypatch.setattr(
        readers, "reader", lambda s: (scans.path / f"{s.series_uid}.new").touch() or plain(s)
    )
    with pytest.raises(UserError, match="changed while") as caught:
        build()
    assert caught.value.exit_code == TRY_AGAIN


# ---- choosing ----


@pytest.fixture
def few(monkeypatch):
    """A store of ten slices, so that scans have slices to spare."""
    monkeypatch.setattr("srgan.dataset.slice_quotas.TOTAL", 10)
    monkeypatch.setattr("srgan.dataset.slice_quotas.HELD_OUT", 4)


def positions(store, patient: str) -> list[int]:
    of = {r.pseudonym for r in store.records if store.patients[r.pseudonym] == patient}
    return [int(r.z_mm) for r in store.records if r.pseudonym in of]


@pytest.mark.usefixtures("few")
def test_a_slice_without_body_is_replaced_by_its_neighbour(scans, build):
    for p in range(5):
        scans.add(f"p{p}", [AIR if i in (2, 3) else body((p, i)) for i in range(10)])
    store = build()
    assert len(store.records) == 10
    assert positions(store, "p0") == [1, 7]  # 2 and 7 are chosen; 1 is nearer to 2 than 4
    assert store.skipped == 1


@pytest.mark.usefixtures("few")
def test_an_unreadable_slice_is_replaced_and_listed(scans, build):
    for p in range(5):
        scans.add(f"p{p}", ["truncated" if i == 7 else body((p, i)) for i in range(10)])
    store = build()
    assert positions(store, "p3") == [2, 6]
    assert len(store.records) == 10
    assert reasons(store)["1.3-7.dcm"] == "truncated"
    assert store.skipped == 6


@pytest.mark.usefixtures("few")
def test_without_body_anywhere_the_chosen_slices_stay(scans, build):
    for p in range(5):
        scans.add(f"p{p}", [little_body((p, i)) for i in range(10)])
    store = build()
    assert positions(store, "p1") == [2, 7]
    assert len([line for line in build.lines if "little of the body" in line]) == 1


def test_grey_values_beside_a_scan_are_not_hu_whatever_their_header_says(scans, build):
    six_patients(scans)
    grey = [body((9, i)) + np.int16(100) for i in range(4)]
    scans.add("grey", grey, series="1.7")
    scans.add("mixed", [body((7, 0)), body((7, 1)), grey[0] + np.int16(1)], series="1.8")
    store = build()
    assert "grey" not in store.patients.values()
    assert [name for name, reason in reasons(store).items() if reason == "not HU"] == [
        *(f"1.7-{i}.dcm" for i in range(4)),
        "1.8-2.dcm",
    ]
    assert positions(store, "mixed") == [0, 1]


@pytest.mark.usefixtures("few")
def test_the_slices_that_are_judged_together_are_decoded_once(scans, build):
    six_patients(scans, 10)
    build()
    assert len(scans.reads) == len(set(scans.reads))


def test_small_datasets_keep_slices_without_body(scans, build):
    for p in range(3):
        scans.add(f"p{p}", [AIR + np.int16(p), body(p)])
    assert len(build().records) == 6


@pytest.mark.usefixtures("few")
def test_slices_that_a_scan_lacks_come_from_the_next_scans(scans, build):
    for p in range(5):
        scans.add(f"p{p}", [body((p, i)) for i in range(10)])
    scans.pixels["1.2"] = ["damaged"] * 10
    store = build()
    assert len(store.records) == 10
    assert positions(store, "p2") == []
    assert store.skipped == 11


@pytest.mark.parametrize("bad", [["not HU"] * 4, ["not HU", "not HU", 1, 1]])
def test_a_volume_that_fails_is_skipped_with_its_data_file(scans, build, bad):
    six_patients(scans)
    pixels = [b if isinstance(b, str) else body((9, i)) for i, b in enumerate(bad)]
    scans.add("volume", pixels, kind="metaimage")
    store = build()
    assert reasons(store)["1.6.mhd"] == reasons(store)["1.6.raw"] == "not HU"
    assert "volume" not in store.patients.values()


def test_a_volume_with_one_bad_slice_is_used(scans, build):
    six_patients(scans)
    scans.add("volume", ["not HU", *(body((9, i)) for i in range(5))], kind="metaimage")
    store = build()
    assert len(positions(store, "volume")) == 5
    assert store.skipped == 1


def test_pixels_of_another_patient_are_left_out_with_one_warning(scans, build):
    six_patients(scans)
    scans.pixels["1.1"][1] = scans.pixels["1.0"][1]
    store = build()
    assert len(store.records) == 17
    assert len([line for line in build.lines if "under two ids" in line]) == 1
    twice = [name for name, reason in reasons(store).items() if reason == "identical pixels"]
    assert len(twice) == 1
    assert store.skipped == 2


@pytest.mark.usefixtures("few")
def test_a_duplicate_slice_is_replaced_by_its_neighbour(scans, build):
    for p in range(5):
        scans.add(f"p{p}", [body((p, i)) for i in range(10)])
    scans.pixels["1.4"][7] = scans.pixels["1.0"][7]
    store = build()
    assert len(store.records) == 10
    assert len({r.pixels_sha256 for r in store.records}) == 10
    assert sorted([positions(store, "p0"), positions(store, "p4")]) == [[2, 6], [2, 7]]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("kind", ["dicom", "metaimage"])
def test_a_copy_of_a_scan_gives_no_slice_at_all(scans, build, kind):
    for p in range(5):
        scans.add(f"p{p}", [body((p, i)) for i in range(10)], kind)
    scans.add("copy", scans.pixels["1.0"], kind)
    store = build()
    assert len(store.records) == 10
    gone = [name for name, reason in reasons(store).items() if reason == "identical pixels"]
    assert len(gone) == (10 if kind == "dicom" else 2)
    assert not (positions(store, "p0") and positions(store, "copy"))


def test_patients_are_split_again_if_a_role_loses_its_only_patient(scans, build):
    for p in range(4):
        scans.add(f"p{p}", [body((p, i)) for i in range(3)])
    lost = next(r.pseudonym for r in build().records if r.role == "validation")
    patient = build().patients[lost]
    scans.pixels[f"1.{patient[1:]}"] = ["damaged"] * 3
    (scans.path / "notes.txt").write_text("changed")
    store = build()
    assert {r.role for r in store.records} == {"train", "validation", "test"}
    assert len(store.records) == 9
    assert store.skipped == 4


def test_a_folder_where_all_is_well_is_read_once(scans, build):
    six_patients(scans)
    assert len(build().records) == 18
    assert sorted(scans.reads) == sorted({*scans.reads})


@pytest.mark.parametrize("kind", ["dicom", "metaimage"])
@pytest.mark.parametrize("reason", ["not HU", "truncated"])
def test_scans_that_give_nothing_take_no_share_of_slices_and_split(
    scans, build, monkeypatch, kind, reason
):
    """The store is the one of the other scans alone: same slices, same roles."""
    monkeypatch.setattr("srgan.dataset.slice_quotas.TOTAL", 50)
    monkeypatch.setattr("srgan.dataset.slice_quotas.HELD_OUT", 20)
    for p in range(5):
        scans.add(f"p{p}", [body((p, i)) for i in range(20)], kind)
    alone = build()
    for p in range(40):
        scans.add(f"mask {p}", [reason] * 10, kind)
    store = build()
    assert store.folder != alone.folder
    assert store.records == alone.records
    assert store.patients == alone.patients
    assert store.skipped == 1 + sum(len(s.files) for s in scans.scans[5:])
    assert len([line for line in build.lines if "40 scans gave no slice" in line]) == 1


@pytest.mark.usefixtures("few")
def test_a_useless_scan_takes_no_share_of_a_given_split(scans, build, tmp_path):
    for p in range(4):  # p3 has too few slices to stand in for p2
        scans.add(f"p{p}", [body((p, i)) for i in range(3 if p == 3 else 10)])
    roles = {"p0": "train", "p1": "train", "p2": "test", "p3": "test"}
    scans.pixels["1.2"] = ["not HU"] * 10
    store = build(split=write_split(tmp_path / "split.csv", roles))
    assert len(store.records) == 10
    assert len(store.with_role("test")) == 3


def test_selecting_again_ends_where_scan_after_scan_is_found_useless(scans, build, monkeypatch):
    """Each time that slices are selected, the first patient of those left fails."""
    for p in range(8):
        scans.add(f"p{p}", [body((p, i)) for i in range(3)])
    order, plain = iter(sorted(scans.scans, key=hash_order)), stores.SliceWriter.start_again

    def start_again(self):
        scans.pixels[next(order).series_uid] = ["damaged"] * 3
        plain(self)

    monkeypatch.setattr(stores.SliceWriter, "start_again", start_again)
    scans.pixels[next(order).series_uid] = ["damaged"] * 3
    store = build()
    assert len(store.records) == 3
    assert len([line for line in build.lines if "selected again" in line]) == 6
    assert [s.patient_id for s in order] == list(store.patients.values())


@pytest.mark.usefixtures("few")
def test_what_a_slice_is_a_copy_of_is_found_out_again(scans, build):
    """No slice is both used and listed as skipped, and the warning of one person stays."""
    for p in range(5):
        scans.add(f"p{p}", [body((p, i)) for i in range(10)])
    for i in (2, 3):
        scans.pixels["1.4"][i] = scans.pixels["1.0"][i]
    scans.add("again", scans.pixels["1.1"])
    for p in range(20):
        scans.add(f"mask {p}", ["not HU"] * 10)
    store = build()
    names = {f"1.{store.patients[r.pseudonym][1:]}-{int(r.z_mm)}.dcm" for r in store.records}
    assert len(names) == len(store.records) == 10
    assert not names & reasons(store).keys()
    assert len([line for line in build.lines if "under two ids" in line]) == 1


def test_slices_of_other_sizes_are_in_files_of_their_own(scans, build):
    six_patients(scans)
    large = np.random.default_rng(0).integers(-100, 100, (512, 512)).astype(np.int16)
    scan = scans.add("large", [large])
    scans.scans[-1] = Scan(**{**{f: getattr(scan, f) for f in scan.__dataclass_fields__},
                              "rows": 512, "columns": 512})  # fmt: skip
    store = build()
    assert {p.name for p in store.folder.glob("*.npy")} == {"slices.npy", "slices-32x32.npy"}
    assert np.load(store.folder / "slices.npy").shape == (1, 512, 512)
    (i,) = [i for i, r in enumerate(store.records) if r.rows == 512]
    assert np.array_equal(store.hu(i), large)


# ---- split, counts, messages ----


def write_split(path: Path, rows: dict[str, str]) -> Path:
    path.write_text("patient_id,role\n" + "".join(f"{p},{r}\n" for p, r in rows.items()))
    return path


def test_a_split_is_followed_and_others_are_left_out(scans, build, tmp_path):
    six_patients(scans)
    rows = {"p0": "train", "p1": "test", "p2": "train", "p3": "validation", "absent": "test"}
    store = build(split=write_split(tmp_path / "split.csv", rows))
    roles = {store.patients[r.pseudonym]: r.role for r in store.records}
    assert roles == {p: r for p, r in rows.items() if p != "absent"}
    assert store.skipped == 7
    assert reasons(store)["1.5-0.dcm"] == "patient is not in --split"
    assert any("1 of 5 patients are not in the data" in line for line in build.lines)


def test_a_split_that_names_nobody_here_is_an_error(scans, build, tmp_path):
    six_patients(scans)
    with pytest.raises(UserError, match="the table has P5, the data have p5"):
        build(split=write_split(tmp_path / "split.csv", {"P5": "train", "x": "test"}))


def test_the_written_split_gives_the_same_again(scans, build):
    six_patients(scans)
    scans.add("=1+1", [body(77)])
    first = build()
    again = build(split=first.folder / "split.csv")
    assert again.records == first.records
    assert "=1+1" in again.patients.values()
    assert "\n=1+1" not in (again.folder / "split.csv").read_text()


def test_gaps_within_scans_are_told_once_with_their_number(scans, build):
    six_patients(scans, n=8)
    whole = scans.scans[2]
    left = [s for i, s in enumerate(whole.slices) if i not in (2, 5, 6)]
    scans.scans[2] = dataclasses.replace(whole, slices=tuple(left))
    build()
    told = "1 of 6 scans has gaps: 3 slices are missing between their slices"
    assert build.lines.count(told) == 1
    build()  # reused
    assert told not in build.lines


def test_without_usable_slices_the_message_names_skipped_csv(scans, build, tmp_path):
    scans.add("p", ["truncated"])
    with pytest.raises(UserError, match=r"skipped\.csv") as caught:
        build()
    assert caught.value.exit_code == BAD_INPUT
    what_to_do, reasons = str(caught.value).split("reasons by file: ")
    assert what_to_do.startswith("no usable CT scan among")
    assert "expected: axial CT" in what_to_do
    path = tmp_path / "store" / "skipped.csv"
    assert reasons.startswith(f"{path}; ")
    assert "truncated" in path.read_text()
    assert not leftovers(tmp_path / "store")


def test_a_missing_data_folder_creates_no_store(tmp_path):
    paths = DatasetPaths(data=tmp_path / "none", store_dir=tmp_path / "store")
    with pytest.raises(UserError, match="does not exist"):
        open_or_build(paths)
    assert not (tmp_path / "store").exists()


def test_under_three_patients_all_train(scans, build):
    scans.add("a", [body(i) for i in range(4)])
    scans.add("b", [body(10 + i) for i in range(4)])
    assert {r.role for r in build().records} == {"train"}


# ---- an empty data/ ----


@pytest.fixture
def chests(monkeypatch, tmp_path):
    """Three small volumes instead of forty chests; the working directory is empty."""

    def write(folder, seed=0):
        for p in range(3):
            write_metaimage(folder / "subset0", f"2.25.{p}", [body((p, i)) for i in range(2)])
        (folder / write_scans.MANIFEST).write_text("{}")

    monkeypatch.setattr(write_scans, "write", write)
    monkeypatch.setattr(
        write_scans, "is_complete", lambda f, s: (f / write_scans.MANIFEST).exists()
    )
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("chests")
@pytest.mark.parametrize("there", [None, (), ("README.md", ".hidden")])
def test_an_empty_data_folder_gets_synthetic_chests(there, said):
    if there is not None:
        Path("data").mkdir()
        for name in there:
            (Path("data") / name).touch()
    store = open_or_build(DatasetPaths())
    assert store.synthetic
    assert len(store.records) == 6
    assert "3723295" in said[0]
    assert "4121926" in said[0]
    assert open_or_build(DatasetPaths()).folder == store.folder


@pytest.mark.usefixtures("chests")
def test_synthetic_chests_are_not_mixed_with_real_scans():
    open_or_build(DatasetPaths())
    for p in range(3):
        write_metaimage(Path("data"), f"1.{p}", [body((50 + p, i)) for i in range(3)])
    store = open_or_build(DatasetPaths())
    assert not store.synthetic
    assert (len(store.records), store.found) == (9, 6)


@pytest.mark.usefixtures("chests")
def test_synthetic_chests_are_written_with_the_stores_if_data_is_read_only(monkeypatch):
    plain = write_scans.write

    def write(folder, seed=0):
        if folder.parts[0] == "data":
            raise OSError(errno.EROFS, "Read-only file system")
        plain(folder)

    monkeypatch.setattr(write_scans, "write", write)
    assert open_or_build(DatasetPaths()).synthetic
    assert (Path("store") / "synthetic").is_dir()
    assert not Path("data").exists()


@pytest.mark.usefixtures("chests")
def test_a_named_empty_folder_is_an_error():
    Path("mine").mkdir()
    with pytest.raises(UserError, match="holds no files"):
        open_or_build(DatasetPaths(data=Path("mine")))


def test_a_store_inside_the_data_folder_is_not_part_of_the_dataset(scans, tmp_path):
    six_patients(scans)
    paths = DatasetPaths(data=scans.path, store_dir=scans.path / "store")
    first = open_or_build(paths)
    prints = scan_source.fingerprint(scan_source.locate(paths), paths, stores.FORMAT)
    assert prints["fingerprint"] == first.folder.name


# ---- on disk ----


def write_metaimage(folder: Path, uid: str, pixels: list[np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = pixels[0].shape
    # values that a MetaImage reader accepts as HU: some below 0
    (folder / f"{uid}.raw").write_bytes(np.stack(pixels).astype("<i2").tobytes())
    (folder / f"{uid}.mhd").write_text(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        "CompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
        "CenterOfRotation = 0 0 0\nAnatomicalOrientation = RAI\nElementSpacing = 0.7 0.7 2.5\n"
        f"DimSize = {columns} {rows} {len(pixels)}\nElementType = MET_SHORT\n"
        f"ElementDataFile = {uid}.raw\n"
    )


@pytest.mark.slow
def test_a_tree_of_888_scans(tmp_path):
    """Ten subsets of small volumes: exact counts, no patient on both sides."""
    rng = np.random.default_rng(0)
    for i in range(888):
        volume = rng.integers(-100, 200, (8, 64, 64)).astype(np.int16)
        write_metaimage(tmp_path / "data" / f"subset{i % 10}", f"1.3.6.{i}", list(volume))
    paths = DatasetPaths(data=tmp_path / "data", store_dir=tmp_path / "store")
    store = open_or_build(paths)
    held = len(store.with_role("validation")) + len(store.with_role("test"))
    assert (len(store.with_role("train")), held) == (3335, 2000)
    roles = {}
    for record in store.records:
        assert roles.setdefault(record.pseudonym, record.role) == record.role
    assert len(roles) == 888
    assert (store.found, store.used, store.skipped) == (1776, 1776, 0)
    split = json.loads((store.folder / "index.json").read_text())["slices"]
    assert len(split) == 5335
    assert open_or_build(paths).records == store.records
