import math

import pytest

from srgan.training import health
from srgan.training.health import IN_ROW, ROWS, Guard

FINE = {"validation_psnr_db": 30.0, "validation_texture": 0.8, "validation_sd": 0.95}


def test_steps_in_a_row_are_counted_up_to_the_last():
    guard = Guard()
    for applied in (0, 0, 1, 0, 0, 0):
        guard.saw(applied)
    assert guard.in_row == 3
    for _ in range(IN_ROW - 3):
        guard.saw(0)
    assert guard.in_row == IN_ROW


def test_the_learning_rate_is_halved_once_gone_back():
    assert Guard().rate == 1.0
    assert Guard(went_back=1).rate == 0.5


@pytest.mark.parametrize(
    ("means", "kind"),
    [
        ({"discriminator": 0.002, "logit_sd": 9.0}, "discriminator-sure"),
        ({"discriminator": 1.386, "logit_sd": 1e-6}, "discriminator-dead"),
    ],
)
def test_a_discriminator_of_no_use_is_told_after_ten_rows_in_a_row(means, kind):
    guard = Guard()
    for _ in range(ROWS - 1):
        assert guard.of_row(means) == {}
    guard.of_row({"discriminator": 1.3, "logit_sd": 0.4})  # a good row between: counted anew
    for _ in range(ROWS - 1):
        assert guard.of_row(means) == {}
    assert list(guard.of_row(means)) == [kind]


def test_rows_of_pretraining_say_nothing_of_a_discriminator():
    guard = Guard()
    assert all(guard.of_row({"l1": 0.1}) == {} for _ in range(2 * ROWS))


def test_a_kind_of_warning_is_said_once():
    guard = Guard()
    assert guard.warn(5, "below-input", "text") == "step 5: text"
    assert guard.warn(9, "below-input", "other") is None
    assert guard.warnings == [{"step": 5, "kind": "below-input", "text": "text"}]


def test_a_guard_comes_back_from_its_record():
    guard = Guard(in_row=2, went_back=1, sure_rows=3, dead_rows=4)
    guard.warn(5, "below-input", "text")
    assert Guard(**guard.as_json()) == guard


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
def test_a_validation_is_warned_of_by_its_figures(stage, change, kinds):
    assert list(health.of_event(stage, {**FINE, **change}, bicubic_db=28.0)) == kinds


def test_a_state_to_go_back_to_has_finite_figures_and_no_step_that_failed():
    assert Guard().is_good(FINE)
    assert not Guard(in_row=1).is_good(FINE)
    assert not Guard().is_good({**FINE, "validation_texture": math.inf})
