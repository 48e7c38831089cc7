import math

import pytest

from srgan.training import health
from srgan.training.health import IN_ROW, ROWS, Health, Warned

FINE = {"validation_psnr_db": 30.0, "validation_texture": 0.8, "validation_sd": 0.95}


def test_health_counts_the_steps_in_a_row_that_were_not_applied():
    counts = Health()
    for applied in (0, 0, 1, 0, 0, 0):
        counts.count_step(applied)
    assert counts.in_row == 3
    for _ in range(IN_ROW - 3):
        counts.count_step(0)
    assert counts.in_row == IN_ROW


def test_health_halves_the_learning_rate_after_going_back():
    assert Health().rate == 1.0
    assert Health(went_back=1).rate == 0.5


@pytest.mark.parametrize(
    ("means", "kind"),
    [
        ({"discriminator": 0.002, "logit_sd": 9.0}, "discriminator-sure"),
        ({"discriminator": 1.386, "logit_sd": 1e-6}, "discriminator-dead"),
    ],
)
def test_after_row_warns_of_a_useless_discriminator_after_ten_rows_in_a_row(means, kind):
    counts = Health()
    for _ in range(ROWS - 1):
        assert counts.after_row(means) == {}
    counts.after_row({"discriminator": 1.3, "logit_sd": 0.4})  # a good row between: counted anew
    for _ in range(ROWS - 1):
        assert counts.after_row(means) == {}
    assert list(counts.after_row(means)) == [kind]


def test_after_row_warns_of_nothing_in_pre_training():
    counts = Health()
    assert all(counts.after_row({"l1": 0.1}) == {} for _ in range(2 * ROWS))


def test_warn_gives_a_warning_of_each_kind_once():
    counts = Health()
    assert counts.warn(5, "below-input", "text") == "step 5: text"
    assert counts.warn(9, "below-input", "other") is None
    assert counts.warnings == [Warned(5, "below-input", "text")]


@pytest.mark.parametrize(
    ("stage", "change", "kinds"),
    [
        ("gan", {}, []),
        ("gan", {"validation_psnr_db": 27.9}, ["below-input"]),
        ("gan", {"validation_psnr_db": 27.96}, []),  # as good as doing nothing
        ("pretrain", {"validation_psnr_db": 20.0}, []),
        ("pretrain", {"validation_sd": 0.05}, ["constant-output"]),
        ("gan", {"validation_psnr_db": math.nan}, ["not-finite"]),
    ],
)
def test_after_validation_warns_by_the_metrics(stage, change, kinds):
    assert list(health.after_validation(stage, {**FINE, **change}, bicubic_db=28.0)) == kinds


def test_a_srresnet_below_bicubic_is_warned_of_at_the_end_of_pre_training():
    for psnr_db, kinds in ((27.9, ["srresnet-below-input"]), (27.96, []), (29.0, [])):
        metrics = {**FINE, "validation_psnr_db": psnr_db}
        found = health.after_validation("pretrain", metrics, 28.0, ends_pretraining=True)
        assert list(found) == kinds


def test_is_good_needs_finite_metrics_and_a_last_step_that_was_applied():
    assert Health().is_good(FINE)
    assert not Health(in_row=1).is_good(FINE)
    assert not Health().is_good({**FINE, "validation_texture": math.inf})
