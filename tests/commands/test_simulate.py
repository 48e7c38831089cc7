"""A low-dose copy of a scan: complete or absent, the same each time; one line for each fault."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from srgan import cli
from srgan.commands.simulate import simulate
from srgan.dataset import catalogue
from srgan.system import processes
from srgan.system.errors import TRY_AGAIN, UserError
from srgan.whole_scans import output_folder
from tests.conftest import ROOT, small_chest, write_scan
from tests.helpers import made_dicom
from tests.helpers.made_dicom import ct_slice, cut_short, write

SHARED = ROOT.parent / "shared" / "ct"
SPACING = [0.7, 0.7]


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.setattr(processes, "cpus", lambda: 1)


@pytest.fixture
def series(tmp_path) -> Path:
    """Three slices as DICOM, the last one first, with padding at -2000."""
    volume = small_chest(0)
    volume[:, 0, 0] = -2000
    return write_series(tmp_path / "series", volume)


write_series = partial(made_dicom.write_series, PixelSpacing=SPACING, PixelPaddingValue=-2000)


@pytest.fixture
def volume(tmp_path) -> Path:
    write_scan(tmp_path / "volume", "1.2.3", small_chest(0))
    return tmp_path / "volume"


def run(arguments: str) -> int:
    return simulate(cli.parse(["--run", "simulate", *arguments.split()])[1])


def hu_of(folder: Path) -> np.ndarray:
    """(slices, rows, columns) of an output folder."""
    headers = list(folder.glob("*.mhd"))
    if headers:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(headers[0])))
    return np.stack([pydicom.dcmread(p).pixel_array for p in sorted(folder.glob("*.dcm"))])


def test_a_dicom_series_becomes_a_noisier_series(series, tmp_path, capsys):
    assert run(f"--input {series} --dose 0.25 --photons 1e5 --output {tmp_path}/out") == 0
    out = tmp_path / "out"
    assert sorted(os.listdir(out)) == ["0001.dcm", "0002.dcm", "0003.dcm", "simulated.json"]
    made = [pydicom.dcmread(p) for p in sorted(out.glob("*.dcm"))]
    assert [d.ImagePositionPatient[2] for d in made] == [0, 2.5, 5]
    assert len({d.SOPInstanceUID for d in made}) == 3
    assert len({d.SeriesInstanceUID for d in made}) == 1
    assert "dose 0.25" in made[0].DerivationDescription
    assert "photons 1e+05" in made[0].DerivationDescription
    before, after = small_chest(0), hu_of(out)
    assert (after[:, 0, 0] == -2000).all()
    change = (after - before)[before > 0]
    assert abs(change.mean()) < 1
    assert 5 < change.std() < 20
    assert "3 slices at 25 % of the dose are in" in capsys.readouterr().out
    assert os.stat(out).st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_simulated_json_holds_the_parameters_and_no_path(tmp_path):
    series = write_series(tmp_path / "series", small_chest(0, size=192))
    run(f"--input {series} --dose 0.25 --output {tmp_path}/out --seed 5 --noise-hu 20")
    text = (tmp_path / "out" / "simulated.json").read_text()
    about = json.loads(text)
    assert (about["format"], about["seed"], about["noise"]["dose"]) == (1, 5, "0.25")
    assert about["noise"]["noise_hu"] == 20
    assert about["noise"]["electronic_noise"] == 10
    assert [s["slice"] for s in about["slices"]] == [1, 2, 3]
    assert all(19 < s["sd_hu"] < 21 and s["photons"] > 0 for s in about["slices"])
    assert str(tmp_path) not in text


def test_the_noise_of_a_slice_is_the_same_in_dicom_and_metaimage(volume, tmp_path):
    series = write_series(tmp_path / "series", small_chest(0))
    dose = "--dose 0.5 --photons 1e5 --seed 3"
    run(f"--input {series} {dose} --output {tmp_path}/a")
    run(f"--input {volume}/1.2.3.mhd {dose} --output {tmp_path}/b")
    a, b = hu_of(tmp_path / "a"), hu_of(tmp_path / "b")
    np.testing.assert_array_equal(a, b)
    run(f"--input {volume} --dose 0.5 --photons 1e5 --output {tmp_path}/d")
    assert (hu_of(tmp_path / "d") != b).mean() > 0.5


def test_full_dose_gives_the_same_pixels(series, tmp_path):
    run(f"--input {series} --dose 1 --output {tmp_path}/out")
    expected = small_chest(0)
    expected[:, 0, 0] = -2000
    np.testing.assert_array_equal(hu_of(tmp_path / "out"), expected)


def test_a_slice_that_is_not_hu_is_copied_as_it_is(tmp_path, capsys):
    values = small_chest(0, slices=4)
    values[3] = 0
    write_scan(tmp_path / "volume", "1.2.3", values)
    run(f"--input {tmp_path}/volume --dose 0.5 --photons 1e5 --output {tmp_path}/out")
    made = hu_of(tmp_path / "out")
    assert (made[3] == 0).all()
    assert (made[0] != values[0]).mean() > 0.5
    assert "slices that stay as they are: 1 not HU" in capsys.readouterr().err


def test_a_damaged_file_is_reported_and_the_others_are_copied(series, tmp_path, capsys):
    cut_short(series / "8.dcm")
    run(f"--input {series} --dose 0.5 --photons 1e5 --output {tmp_path}/out")
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 2
    output = capsys.readouterr()
    assert "1 file is left out: 1 " in output.err
    assert "2 slices at 50 %" in output.out


def test_scans_without_tissue_or_body_work(tmp_path, capsys):
    values = np.full((20, 30), -1000, np.int16)
    values[:1] = np.arange(30)
    write(tmp_path / "a.dcm", ct_slice(0, values, PixelSpacing=SPACING))
    run(f"--input {tmp_path}/a.dcm --dose 0.5 --output {tmp_path}/out")
    assert hu_of(tmp_path / "out").shape == (1, 20, 30)
    assert "photons are assumed" in capsys.readouterr().err


def test_too_few_photons_give_a_warning(volume, tmp_path, capsys):
    run(f"--input {volume} --dose 0.1 --photons 100 --output {tmp_path}/out")
    assert "are at the photon floor" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["series", "volume"])
def test_simulated_scans_are_refused_as_input_and_as_data(kind, tmp_path, request):
    source = request.getfixturevalue(kind)
    run(f"--input {source} --dose 0.5 --photons 1e5 --output {tmp_path}/out")
    with pytest.raises(UserError, match="output of this program: give the scan"):
        run(f"--input {tmp_path}/out --dose 0.5 --output {tmp_path}/again")
    found = catalogue.find(tmp_path / "out")
    assert not found.scans
    reasons = {item.path.suffix: item.reason for item in found.skipped}
    assert reasons.pop(".json") == "not DICOM, MetaImage, NIfTI or NRRD"
    own = "output of this program"
    assert reasons in ({".dcm": own}, {".mhd": own, ".raw": "its header is skipped"})


def test_noise_alone_prints_the_photons_of_water(capsys):
    assert run("--noise-hu 20") == 0
    assert "photons a reading (360 views, 0.70 mm) give a noise of 20 HU" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("", "needs --input SCAN and --output DIR"),
        ("--dose 0.25 --photons 1e5", "needs --input SCAN and --output DIR"),
        ("--input volume --dose 0.25", "--input needs --output"),
        ("--output out --dose 0.25", "--output needs --input"),
        ("--input volume --output out", "needs --dose"),
        ("--input volume --output out --dose 0.1:0.5", "one value"),
        ("--input volume --output out --dose 0.1,0.5", "one value"),
        ("--input nowhere --output out --dose 0.5", "does not exist"),
        ("--input volume --output volume --dose 0.5", "lies in --input"),
        ("--input volume --output volume/new --dose 0.5", "lies in --input"),
        ("--input volume --output full --dose 0.5", "is not empty"),
        ("--input volume --output full/file --dose 0.5", "is a file"),
        ("--input volume --output full/file/new --dose 0.5", "cannot write"),
        ("--input oblong --output out --dose 0.5", "not square"),
        ("--input coarse --output out --dose 0.5", "not those of a CT"),
        ("--input volume --output out --dose 0.5 --noise-hu 9 --photons 9", "exclude each other"),
        ("--input nan --output out --dose 0.5", "not numbers"),
        ("--input unit --output out --dose 0.5", "the pixels are not HU"),
    ],
)
def test_a_wrong_call_is_reported_and_leaves_nothing(
    volume, tmp_path, monkeypatch, arguments, reason
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("kept")
    write(tmp_path / "oblong" / "a.dcm")
    write(tmp_path / "coarse" / "a.dcm", PixelSpacing=[20, 20])
    bad = small_chest(0, size=16).astype(np.float32)
    write_scan(tmp_path / "unit", "1.2", bad / 3000)
    bad[1, 2, 3] = np.nan
    write_scan(tmp_path / "nan", "1.2", bad)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=reason) as error:
        run(arguments)
    assert error.value.exit_code == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_the_output_may_be_an_empty_folder_and_its_parents_are_made(volume, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "a/b/c"):
        run(f"--input {volume} --dose 1 --photons 1e5 --output {tmp_path / name}")
        assert len(os.listdir(tmp_path / name)) == 3
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("kind", ["series", "volume"])
def test_a_disk_that_is_too_small_is_reported_before_the_work(kind, tmp_path, monkeypatch, request):
    source = request.getfixturevalue(kind)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 1000))
    with pytest.raises(UserError, match=r"needs 0.00 GB, 0.00 GB are free") as error:
        run(f"--input {source} --dose 0.5 --output {tmp_path}/a/out")
    assert error.value.exit_code == TRY_AGAIN
    assert not (tmp_path / "a").exists()


def test_an_output_folder_that_is_filled_meanwhile_is_not_overwritten(tmp_path):
    def fill():
        with output_folder.new_folder(tmp_path / "out") as part:
            (part / "new").write_text("new")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "old").write_text("old")

    with pytest.raises(UserError, match="cannot write"):
        fill()
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "old"]


def test_simulate_works_in_several_processes(volume, tmp_path, run_main):
    done = run_main(
        tmp_path, f"--run simulate --input {volume} --dose 0.5 --photons 1e5 --output out"
    )
    assert (done.returncode, done.stderr) == (0, "")
    run(f"--input {volume} --dose 0.5 --photons 1e5 --output {tmp_path}/here")
    np.testing.assert_array_equal(hu_of(tmp_path / "out"), hu_of(tmp_path / "here"))
    done = run_main(tmp_path, f"--run simulate --input {volume} --dose 0.5 --output out")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_simulate_and_leaves_nothing(tmp_path, number, code):
    write_scan(tmp_path / "volume", "1.2.3", small_chest(0, slices=900, size=128))
    command = [sys.executable, str(ROOT / "main.py"), "--run", "simulate", "--input", "volume"]
    process = subprocess.Popen(
        [*command, "--dose", "0.5", "--photons", "1e5", "--output", "new/out"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    )
    until = time.monotonic() + 300  # seconds; it takes one, and as many again are left then
    while not list(tmp_path.glob("new/.out.*.part/*.raw")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == code, stderr
    assert b"stopped" in stderr
    assert b"Traceback" not in stderr
    assert [p.name for p in tmp_path.iterdir()] == ["volume"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["LIDC-IDRI-0003", "Lung_Dx-A0002"])
def test_a_real_scan_keeps_its_place_and_becomes_noisier(name, tmp_path, monkeypatch):
    if not (SHARED / name).is_dir():
        pytest.skip("no real scans in ../shared/ct")
    monkeypatch.undo()
    run(f"--input {SHARED / name} --dose 0.25 --output {tmp_path}/out")
    before, after = map(_by_sitk, (SHARED / name, tmp_path / "out"))
    for get in (sitk.Image.GetSize, sitk.Image.GetSpacing, sitk.Image.GetOrigin):
        assert get(before) == get(after)
    hu = sitk.GetArrayFromImage(before)
    change = (sitk.GetArrayFromImage(after) - hu)[(hu > 20) & (hu < 80)]
    about = json.loads((tmp_path / "out" / "simulated.json").read_text())["photons"]
    assert 2e5 < about["median"] < 2e6
    assert abs(change.mean()) < 0.5
    # the added noise is sqrt(3) times the scan's own at a quarter of the dose
    assert 0.8 < change.std() / (np.sqrt(3) * about["sd_hu"]) < 1.5


def _by_sitk(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz", "x.nrrd", "x.nhdr"])
def test_the_copy_of_a_nifti_or_nrrd_volume_is_that_of_a_metaimage(volume, tmp_path, name):
    header = volume / "1.2.3.mhd"
    sitk.WriteImage(image := sitk.ReadImage(str(header)), str(tmp_path / name))
    options = "--dose 0.25 --photons 1e5 --views 90"
    run(f"--input {header} {options} --output {tmp_path}/a")
    run(f"--input {tmp_path / name} {options} --output {tmp_path}/b")
    made = sitk.ReadImage(str(tmp_path / "b" / name.replace(".nhdr", ".nrrd")))
    expected = sitk.ReadImage(str(tmp_path / "a" / "1.2.3.mhd"))
    off = sitk.GetArrayFromImage(made) - sitk.GetArrayFromImage(expected)
    assert np.abs(off).max() <= (1 if "nii" in name else 0)  # where the spacing is float32
    assert np.count_nonzero(off) <= 3
    np.testing.assert_allclose(made.GetOrigin(), image.GetOrigin(), rtol=1e-6)
    assert len(list((tmp_path / "b").iterdir())) == 2
