"""--run test with a checkpoint that is made up; test_train.py trains a real one."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.text import Text

from srgan import settings as all_settings
from srgan.commands import evaluate as run
from srgan.commands import held_out, tested_methods
from srgan.dataset import build_store as stores
from srgan.evaluation import baselines
from srgan.hounsfield import WINDOWS, Window
from srgan.lowdose.levels import Levels
from srgan.lowdose.photon_cache import SlicePhotons
from srgan.models import tensorflow_setup, vgg
from srgan.report import example_pictures
from srgan.settings import Settings, dataset_paths, degradation_of
from srgan.system import locks, progress
from srgan.system.errors import TRY_AGAIN, UserError
from srgan.training import checkpoint_models
from tests.helpers.made_manifest import trained
from tests.helpers.made_structure import IMAGE_NOISE


def trained_on(*seen, **settings) -> checkpoint_models.Trained:
    return trained(*seen, settings={"generator": "fast", "scale": 4, **settings})


def record(pseudonym, series, pixels, role="train", size=64):
    return SimpleNamespace(
        pseudonym=pseudonym, series_hash=series, pixels_sha256=pixels, role=role, rows=size,
        columns=size,
    )  # fmt: skip


STORE = SimpleNamespace(
    synthetic=False,
    patients={"P0001": "Ann", "P0002": "Bob", "P0003": "Cid"},
    records=(
        record("P0001", "s1", "x1"),
        record("P0001", "s2", "x2", size=8),
        record("P0002", "s3", "x3", "test"),
        record("P0003", "s4", "x4", "validation"),
        record("P0003", "s4", "x5", "validation"),
    ),
)


@pytest.mark.parametrize(
    ("seen", "left"),
    [
        ((), [0, 2, 3, 4]),
        (("patient:Ann",), [2, 3, 4]),
        (("series:s2",), [2, 3, 4]),  # the series of a slice that is too small itself
        (("pixels:x5",), [0, 2]),  # one known slice: the whole patient
        (("patient:Ann", "series:s4"), [2]),
        (("patient:x5", "P0001", "s1"), [0, 2, 3, 4]),
    ],
)
def test_patient_with_a_known_id_series_or_slice_is_left_out(seen, left, capsys):
    settings = all_settings.make({})
    assert held_out.held_out({"A": trained_on(*seen)}, STORE, settings) == left
    said = capsys.readouterr().err
    assert ("of 3 patients were trained or validated on" in said) == (len(left) < 4)


def test_split_leaves_only_its_test_patients():
    settings = all_settings.make({"split": Path("split.csv")})
    assert held_out.held_out({"A": trained_on()}, STORE, settings) == [2]
    with pytest.raises(UserError, match="a folder with other patients"):
        held_out.held_out({"A": trained_on("patient:Bob")}, STORE, settings)


def test_of_synthetic_chests_those_are_tested_that_a_training_holds_out():
    synthetic = SimpleNamespace(**{**vars(STORE), "synthetic": True})
    assert held_out.held_out({"A": trained_on()}, synthetic, all_settings.make({})) == [2]


def test_noise_of_the_test_is_the_middle_of_the_trainings_unless_given():
    def noise(recorded, **given):
        return run.noise_of(all_settings.make(given, recorded), given)

    image = {"noise_lambda": Levels((400.0, 1600.0), True), "noise_sigma": Levels((0.01,))}
    asked = noise(image).noise
    assert (asked.noise_lambda, asked.noise_sigma) == (Levels((800.0,)), Levels((0.01,)))
    asked = noise(image, noise_lambda=Levels((1000.0, 2000.0), True)).noise
    assert asked.noise_lambda == Levels((1000.0, 2000.0), True)
    assert asked.noise_sigma == Levels((0.01,))
    projection = {"noise": "projection", "dose": Levels((0.1, 0.4), True), "photons": 1e5}
    assert noise(projection).noise.dose == Levels((0.2,))
    listed = noise(projection, dose=Levels((0.5, 0.25)), photons=2e5)
    assert [str(each.noise.dose) for each in listed.each()] == ["0.5", "0.25"]
    assert listed.noise.photons == 2e5


@pytest.fixture
def tested(small_scans, tmp_path, monkeypatch):
    """Runs it on six tiny patients, two of whom were trained on; bicubic plays the SRResNet."""
    folders = {name: tmp_path / name.removesuffix("_dir") for name in ("store_dir", "report_dir")}
    given = {"data": small_scans, "checkpoint_dir": tmp_path, **folders}
    settings = all_settings.make(given)
    store = stores.open_or_build(dataset_paths(settings))
    known = ["patient:" + store.patients[name] for name in ("P0001", "P0004")]
    made = trained_on(*known, seed=3)
    monkeypatch.setattr(checkpoint_models, "load", lambda folder: made)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    network = baselines.classical(4)["bicubic"]
    monkeypatch.setattr(run, "networks", lambda *_: {"srresnet": network})
    return SimpleNamespace(
        run=lambda **more: run.test(given | more), folder=tmp_path / "report", store=store
    )


def test_run_test_writes_the_report_of_the_unseen_patients(tested, capsys):
    assert tested.run(window={"bone": (-450.0, 1050.0)}, details=True) == 0
    out = capsys.readouterr()
    assert "srresnet" in out.out
    assert "2 of 6 patients were trained or validated on and are left out" in out.err
    summary = json.loads((tested.folder / "summary.json").read_text())
    assert list(summary["patients_by_pseudonym"]) == ["P0002", "P0003", "P0005", "P0006"]
    assert summary["methods"]["srresnet"] == summary["methods"]["bicubic"]
    assert summary["settings"]["seed"] == 3
    assert "odules" not in out.out + out.err + (tested.folder / "index.html").read_text()
    assert "nodules" not in summary
    assert not list(tested.folder.parent.rglob("*nodules*"))
    assert summary["sharpness"]["ttf50_per_mm"]["bicubic"] > 0
    assert summary["windows_hu"]["bone"] == [-450, 1050]
    assert summary["methods"]["bicubic"]["psnr_body_db"]["bone"] > 10
    assert summary["patches"]["bicubic"]["ssim"]["bone"] > 0
    assert "-450..1050 HU" in out.out
    assert "no VGG distance" in out.out
    assert summary["vgg_distance_weights"] == "none"
    assert summary["methods"]["nlm+bicubic"]["rmse_hu"] > 0
    assert "HU, tuned on 3 validation slices" in out.out
    assert not {"vgg_distance", "removed_share"} & summary["methods"]["bicubic"].keys()
    page = (tested.folder / "index.html").read_text()
    assert 'data-key="psnr_body_db.bone"' in page
    assert len(list(tested.folder.glob("example-*.png"))) == 8


def test_at_scale_1_nearest_and_bicubic_are_one_row_input_everywhere(tested, capsys, monkeypatch):
    """On the terminal, in the page, in the tables for programs, in both plots, in the verdict."""
    drawn = []
    monkeypatch.setattr(checkpoint_models, "load", lambda folder: trained_on(scale=1))
    worse = {"srresnet": lambda low_dose: baselines.classical(1)["input"](low_dose) + 30}
    monkeypatch.setattr(run, "networks", lambda *_: worse)
    monkeypatch.setattr(held_out, "held_out", lambda *_: [0, 3])
    draw = run.dose_plot.draw
    monkeypatch.setattr(
        run.dose_plot, "draw", lambda *given: drawn.append(draw(*given)) or drawn[0]
    )
    levels = Levels((500.0, 1000.0))
    assert tested.run(noise_lambda=levels, details=True) == 0
    shown = capsys.readouterr().out
    assert "dB below the input in the lung window" in shown
    assert "\ninput  " in shown
    texts = [
        shown,
        *((tested.folder / name).read_text() for name in ("summary.json", "metrics.csv")),
    ]
    words = [text.get_text() for text in drawn[0].findobj(Text)]
    assert {"input", "nlm", "PSNR gained on input, dB"} <= set(words)
    page = re.sub(
        r"<script.*?</script>", "", (tested.folder / "index.html").read_text(), flags=re.S
    )
    for text in (*texts, *words, page):
        assert "bicubic" not in text
        assert not re.search(r"\bnearest\b(?! the normal dose)", text)
    summary = json.loads((tested.folder / "summary.json").read_text())
    assert list(summary["methods"]) == ["input", "nlm", "srresnet"]
    assert list(summary["conclusions"]["compared"]["srresnet"]) == ["input"]
    verdicts = summary["conclusions"]["verdicts"]["srresnet"]
    assert any(found["text"].endswith("of the input") for found in verdicts)
    keys = summary["methods"]["srresnet"].keys()
    assert {"chi2", "removed_share", "removed_spot"} <= keys
    assert not {"spots", "wide_spots"} & keys
    assert "Noise that was left counts as invented" in page
    assert "connected areas beyond 4" not in page


def test_denoiser_without_validation_slices_follows_the_noise():
    store = SimpleNamespace(with_role=lambda role: [])
    disc = {"pixel_mm": 0.7, "photons": None}
    made, how = run.tuned_denoiser(trained_on(), store, all_settings.make({}), IMAGE_NOISE, disc)
    assert list(made) == [baselines.NON_LOCAL_MEANS]
    assert how == (  # 13.6 HU of noise
        "nlm+bicubic: non-local means with a cut-off of 8.9 HU, 0.65 of the noise in tissue: no "
        "validation slice is in --data"
    )


def test_vgg_weights_give_a_vgg_distance_and_leave_the_trainings_on_record(
    tested, tmp_path, monkeypatch, capsys
):
    (tmp_path / "mine.h5").write_bytes(b"")
    monkeypatch.setattr(example_pictures, "MOST_PATIENTS", 1)
    monkeypatch.setattr(tensorflow_setup, "start", lambda precision: precision)
    monkeypatch.setattr(held_out, "held_out", lambda *_: [tested.store.with_role("test")[0]])
    monkeypatch.setattr(vgg, "distance", lambda weights: lambda output, reference: 0.125)
    tested.run(vgg_weights=str(tmp_path / "mine.h5"), details=True)
    assert "VGG distance: mean squared difference of VGG19's conv5_4" in capsys.readouterr().out
    text = (tested.folder / "summary.json").read_text()
    summary = json.loads(text)
    assert (summary["vgg_distance_weights"], summary["vgg_weights"]) == ("file", "random")
    assert summary["settings"]["vgg_weights"] == "auto"
    assert summary["methods"]["bicubic"]["vgg_distance"] == 0.125
    assert "vgg_distance" not in summary["patches"]["bicubic"]
    assert (
        'data-key="vgg_distance" data-value="0.125"' in (tested.folder / "index.html").read_text()
    )
    assert "vgg_distance" in (tested.folder / "metrics.csv").read_text().splitlines()[0]
    assert "mine" not in text


def test_several_levels_are_one_job_and_give_a_table_and_a_picture(
    tested, monkeypatch, capsys, said
):
    monkeypatch.setattr(example_pictures, "MOST_PATIENTS", 1)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0)
    monkeypatch.setattr(
        example_pictures, "figure_to_png", lambda figure, path: path.write_bytes(b"")
    )
    tested.run(noise_lambda=Levels((1700.0, 500.0)), details=True)
    out = capsys.readouterr().out
    assert "quality against lambda: lung window -1350..150 HU, range 1500" in out
    assert "metrics.csv, summary.json, noise.png and example-*.png" in out
    summary = json.loads((tested.folder / "summary.json").read_text())
    assert [level["noise"]["noise_lambda"] for level in summary["levels"]] == ["1700", "500"]
    of_disc = [level["sharpness"]["noise_sd_hu"] for level in summary["levels"]]
    assert of_disc == pytest.approx([13.5, 23.8], rel=0.03)  # soft tissue's, by formula
    n = 2 * summary["slices"]
    of_job = [line.split(",")[0] for line in said if "slices at 2 noise" in line]
    assert of_job == [f"slices at 2 noise levels {i}/{n}" for i in range(1, n + 1)]
    assert (tested.folder / "noise.png").exists()
    tested.run(details=True)
    assert not (tested.folder / "noise.png").exists()
    aside = tested.folder / "aside-001"
    assert f"{tested.folder} held the report of another test, which now lies in {aside}" in said
    assert (aside / "noise.png").exists()
    assert json.loads((aside / "summary.json").read_text()) == summary
    for name in ("index.html", "metrics.csv", "summary.json"):
        assert (aside / name).read_bytes() != (tested.folder / name).read_bytes()
    assert "quality against" not in capsys.readouterr().out


def test_without_details_one_screen_is_printed(tested, capsys, monkeypatch):
    monkeypatch.setattr(example_pictures, "MOST_PATIENTS", 1)
    tested.run()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines[:-1])) <= 80
    assert any(line.startswith("SRResNet: +0.00 dB over bicubic") for line in lines)
    assert lines[-1].endswith(f" {tested.folder / 'index.html'}")


def test_report_holds_no_patient_and_no_path_and_repeats(tested, small_scans, monkeypatch):
    monkeypatch.setattr(example_pictures, "MOST_PATIENTS", 1)
    tested.run()
    texts = [(tested.folder / name).read_text() for name in ("summary.json", "metrics.csv")]
    for secret in (*tested.store.patients.values(), str(small_scans), str(tested.folder)):
        for path in tested.folder.rglob("*.*"):
            assert secret.encode() not in path.name.encode() + path.read_bytes(), path
    tested.run()
    assert len(list(tested.folder.glob("example-*.png"))) == 2
    assert texts == [(tested.folder / n).read_text() for n in ("summary.json", "metrics.csv")]
    assert not list(tested.folder.glob("aside-*"))


def test_a_test_of_eight_passes_says_so(tested, capsys, monkeypatch):
    monkeypatch.setattr(example_pictures, "MOST_PATIENTS", 1)
    tested.run(ensemble=True)
    text = "SELF-ENSEMBLE: the output of each network is the mean of eight passes"
    assert text in " ".join(capsys.readouterr().out.split())
    assert text in (tested.folder / "index.html").read_text()
    assert json.loads((tested.folder / "summary.json").read_text())["ensemble"] is True


def test_the_networks_of_a_test_take_eight_passes_where_it_is_asked(monkeypatch, said):
    from tests.helpers.made_networks import network

    monkeypatch.setattr("srgan.training.strength.network", lambda *_: network(scale=2))
    low = np.random.default_rng(0).normal(0, 50, (10, 12)).astype(np.float32)
    outputs = {}
    for more in (False, True):
        settings = all_settings.make({"ensemble": more}, {"scale": 2})
        made = tested_methods.networks({"A": None}, {"A": {"srgan": 1.0}}, settings)
        outputs[more] = made["srgan"](low)
        assert any("takes eight passes" in line for line in said) == more
    expected = baselines.network(network(scale=2), ensemble=True)(low)
    np.testing.assert_array_equal(outputs[True], expected)
    assert np.abs(outputs[True] - outputs[False]).max() > 0.1


def test_a_second_test_at_the_same_time_is_refused_and_says_who_writes_there(tested):
    with (
        locks.sole(tested.folder / ".lock-test", "--report-dir"),
        pytest.raises(
            UserError, match=r"held by another run .*name another --report-dir"
        ) as refused,
    ):
        tested.run()
    assert refused.value.exit_code == TRY_AGAIN
    assert [path.name for path in tested.folder.iterdir()] == [".lock-test"]
    assert (tested.folder / ".lock-test").read_bytes() == b""


def test_report_folder_that_cannot_be_made_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(checkpoint_models, "load", lambda folder: trained_on())
    monkeypatch.setattr(stores, "open_or_build", lambda *_: pytest.fail("it read the scans"))
    with pytest.raises(UserError, match="cannot write"):
        run.test({"checkpoint_dir": tmp_path, "report_dir": tmp_path / "file" / "report"})
    run.prepare(tmp_path / "new" / "report")
    assert list((tmp_path / "new" / "report").iterdir()) == []


def test_window_flag_adds_windows_and_refuses_built_in_names():
    found = run.windows_of(Settings(window={"bone": (-450.0, 1050.0)}))
    assert list(found) == ["full", "lung", "mediastinum", "bone"]
    assert found["bone"] == Window(-450.0, 1050.0)
    assert run.windows_of(Settings()) == WINDOWS
    with pytest.raises(UserError, match=r"lung is built in \(-1350..150 HU, range 1500\)"):
        run.windows_of(Settings(window={"lung": (-1000.0, 0.0)}))
    for beyond in ((-2000.0, -1024.0), (3071.0, 4000.0)):
        with pytest.raises(UserError, match=r"lies outside -1024\.\.3071 HU"):
            run.windows_of(Settings(window={"metal": beyond}))


def test_run_test_refuses_a_folder_without_a_checkpoint(tmp_path):
    with pytest.raises(UserError, match="no trained model"):
        run.test({"checkpoint_dir": tmp_path})


@pytest.mark.parametrize(
    ("given", "source"),
    [({}, "matched"), ({"photons": 5e5}, "given"), ({"noise_hu": 12.0}, "noise_hu")],
)
def test_report_says_where_the_photons_come_from(given, source):
    settings = all_settings.make({"noise": "projection", **given})
    counts = {"found": 9, "used": 6, "skipped": 3}
    store = SimpleNamespace(synthetic=False, has_simulated_pairs=False, **counts)
    matched, every = [SlicePhotons(4e5, 10.0), SlicePhotons(6e5, None)], {"A": trained_on()}
    about = run.about_test(every, store, settings, degradation_of(settings), matched)
    assert about.photons == {
        "source": source, "median": 5e5, "low": 4e5, "high": 6e5, "sd_hu": 10.0,
    }  # fmt: skip
    assert about.files == counts
    assert run.about_test(every, store, settings, about.degradation, []).photons is None
