import re

import numpy as np
import pytest

from srgan.dose.degradation import Degradation
from srgan.dose.image import ImageNoise
from srgan.evaluation import contents, methods, page, report, study
from srgan.hounsfield import WINDOWS, Window
from srgan.scans import synthetic
from srgan.settings import Levels

WINDOWS_HERE = WINDOWS | {"fat": Window(-250.0, 50.0)}


@pytest.fixture(scope="module")
def made():
    """Two patients of two small slices at two noise levels, and the page of it."""
    slices = []
    for patient in (1, 2):
        for n, hu in enumerate(synthetic.chest(0, patient, 2)[0], 1):
            small = hu[::2, ::2].astype(np.float32)
            name = f"P000{patient}"
            slices.append(
                study.StudySlice(name, n, (1.4, 1.4), 10 * patient + n, lambda h=small: h)
            )
    compared = methods.classical(4)
    compared["srresnet"] = lambda low: compared["bicubic"](low) + 7  # biased by 7 HU
    studies = []
    for level in (1700.0, 500.0):
        noise = Degradation(ImageNoise(Levels((level,)), Levels((0.005,))), 4)
        about = report.About(noise, "random", True, {"seed": 0}, {"step": 7})
        studies.append((study.run(compared, slices, noise, 0, windows=WINDOWS_HERE), about))
    return studies, contents.page_of(studies, compared, slices, 0)


def test_a_biased_network_is_named_as_failing_at_the_top(made):
    text = page.render(made[1])
    assert "bias (soft tissue)" in made[1].headline
    assert text.index("srresnet fails") < text.index("<table")


def test_numbers_of_the_page_are_those_of_the_summary(made):
    studies, content = made
    wanted = report.summary(*studies[0])["methods"]
    text = page.render(content)
    for name, figures in wanted.items():
        rows = " ".join(re.findall(rf'<tr data-row="{name}">.*?</tr>', text, re.DOTALL))
        found = dict(re.findall(r'data-key="([^"]+)" data-value="([^"]+)"', rows))
        assert float(found["psnr_db.lung"]) == figures["psnr_db"]["lung"]
        assert float(found["psnr_body_db.fat"]) == figures["psnr_body_db"]["fat"]
        assert float(found["rmse_hu"]) == figures["rmse_hu"]


def test_the_page_has_its_levels_patients_and_three_slices(made):
    titles = [section.title for section in made[1].sections]
    assert titles == ["Figures", "Quality against dose", "Patients", "Slices"]
    viewers = made[1].sections[-1].parts
    assert [viewer.title.split()[0] for viewer in viewers] == ["Best", "Median", "Worst"]
    for viewer in viewers:
        assert list(viewer.pictures)[:2] == ["normal dose", "low dose"]
        assert {each.name for each in viewer.maps} == {"consistency", "invention"}
        assert list(viewer.windows) == ["lung", "mediastinum", "bone", "full", "fat"]
    assert "SYNTHETIC scans" in made[1].remarks
