import imageio.v3 as imageio
import numpy as np
import pytest

from srgan.evaluation import baselines, study
from srgan.evaluation.level import levels_of
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.report import example_pictures, shown_slices
from srgan.system import progress
from tests.helpers.made_report import ABOUT, NOISE

COMPARED = baselines.classical(4)


@pytest.fixture(scope="module")
def slices():
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    hu = np.where((x / 0.95) ** 2 + (y / 0.8) ** 2 < 1, 40.0, -1024.0)
    for side in (-1, 1):
        hu[((x + side * 0.45) / 0.33) ** 2 + (y / 0.6) ** 2 < 1] = -850
    hu[40:44, 20:30] = 0  # a vessel in one lung
    return [
        study.StudySlice(name, n, (0.9, 0.7), n, lambda: hu)
        for name in ("P0001", "P0002")
        for n in (1, 2, 3)
    ]


@pytest.fixture
def pictures(monkeypatch):
    """The arguments of each picture. None is drawn, and its file is empty."""
    calls = []
    monkeypatch.setattr(example_pictures, "draw", lambda *args: calls.append(args))
    monkeypatch.setattr(example_pictures, "figure_to_png", lambda _, path: path.write_bytes(b""))
    return calls


def test_example_pictures_one_for_each_patient_and_window_older_ones_removed(tmp_path, slices):
    levels = levels_of([(NOISE, study.run(COMPARED, slices, NOISE, 0))])
    for old in ("P0009-lung", "P0012-mediastinum-dose0.25", "P0009-lung-lambda500-sigma1e-05"):
        (tmp_path / f"example-{old}.png").write_bytes(b"")
    mine = [f"example-{name}.png" for name in ("P0009-lung mine", "P0009", "mine")]
    for name in mine:
        (tmp_path / name).write_bytes(b"")
    assert example_pictures.write(tmp_path, levels, ABOUT, COMPARED, slices, 0) == 4
    names = [f"example-P000{p}-{w}.png" for p in (1, 2) for w in ("lung", "mediastinum")]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names + mine)
    picture = imageio.imread(tmp_path / names[0])
    panel, gap = example_pictures.PANEL, example_pictures.GAP
    assert picture.shape[1] == 3 * (panel + gap) + gap
    assert picture.shape[0] > 2 * panel * 0.9 / 0.7  # true proportions
    assert picture.std() > 20


def test_example_pictures_of_several_levels_show_the_same_slice(
    tmp_path, slices, pictures, monkeypatch, said
):
    asked = Degradation(ImageNoise(Levels((1700.0, 500.0)), Levels((0.005,))), 4)
    levels = levels_of([(each, study.run(COMPARED, slices, each, 0)) for each in asked.each()])
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0)
    example_pictures.write(tmp_path, levels, ABOUT, COMPARED, slices, 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"example-P000{p}-{w}-lambda{level}.png"
        for p in (1, 2)
        for w in ("lung", "mediastinum")
        for level in (1700, 500)
    ]
    assert said[-1] == "pictures 4/4, 00:00 left"
    (first, at_1700, *_), _, (second, at_500, *_), _ = pictures[:4]
    assert first is second
    assert np.array_equal(at_1700["normal dose"], at_500["normal dose"])
    assert not np.array_equal(at_1700["bicubic"], at_500["bicubic"])


def test_example_picture_of_a_range_names_the_sampled_level(tmp_path, slices, pictures):
    asked = Degradation(ImageNoise(Levels((500.0, 5000.0), True), Levels((0.005,))), 4)
    made = study.run(COMPARED, slices[:1], asked, 0)
    example_pictures.write(tmp_path, levels_of([(asked, made)]), ABOUT, COMPARED, slices, 0)
    assert f"lambda {made.noise['P0001', 1]['noise_lambda']:g} photons" in pictures[0][3]


def test_median_slices_are_by_rmse_of_the_best_network():
    def row(number, method, rmse):
        return study.Row("P0001", number, "whole", (0, 0), method, {"rmse_hu": rmse})

    errors = {"bicubic": (1, 2, 3), "srresnet": (9, 4, 5), "srgan": (9, 9, 8)}
    rows = [row(n, name, rmse) for name, of in errors.items() for n, rmse in enumerate(of, 1)]
    made = study.Study(tuple(errors), tuple(rows), {})
    assert shown_slices.median_slices(made) == {"P0001": 3}  # of 4, 5, 9 by the srresnet


def test_example_pictures_show_the_low_dose_of_the_study(slices):
    made = study.run(COMPARED, slices[:1], NOISE, 5)
    images = example_pictures.outputs(slices[0], COMPARED, NOISE, 5)
    assert list(images) == ["normal dose", "low dose 24x24", "bicubic"]
    error = np.sqrt(np.mean((images["bicubic"] - images["normal dose"]) ** 2))
    row = next(r for r in made.rows if (r.part, r.method) == ("whole", "bicubic"))
    assert row.metrics["rmse_hu"] == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("window", example_pictures.SHOWN)
def test_region_lies_in_the_slice(slices, window):
    normal = slices[0].hu().astype(np.float32)
    for image in (normal, np.zeros_like(normal), np.full((50, 70), -1024, np.float32)):
        rows, columns = shown_slices.region(image, window)
        assert rows.stop - rows.start == image.shape[0] // 4
        assert columns.stop - columns.start == image.shape[1] // 4
        assert 0 <= rows.start < rows.stop <= image.shape[0]
        assert 0 <= columns.start < columns.stop <= image.shape[1]


def test_region_of_the_mediastinum_is_the_middle_of_the_body(slices):
    rows, columns = shown_slices.region(slices[0].hu().astype(np.float32), "mediastinum")
    assert (rows.start + rows.stop) / 2 == pytest.approx(48, abs=2)
    assert (columns.start + columns.stop) / 2 == pytest.approx(48, abs=2)
