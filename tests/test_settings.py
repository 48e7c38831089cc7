import pytest

from srgan import settings
from srgan.cli import parse
from srgan.flag_values import Kind
from srgan.lowdose.levels import Levels
from srgan.lowdose.scanner import Scanner
from srgan.settings import GROUPS, SETTINGS, VERBS
from srgan.system.errors import UserError


def test_every_setting_has_a_group_a_kind_and_a_help_for_each_of_its_verbs():
    for setting in SETTINGS.values():
        assert setting.group in GROUPS
        assert set(setting.verbs) <= set(VERBS)
        for verb in setting.verbs:
            assert isinstance(setting.kind_for(verb), Kind)
            assert setting.help_for(verb).endswith(".")
        if isinstance(setting.help, dict):
            assert set(setting.help) == set(setting.verbs)


def test_every_default_is_a_value_that_its_own_flag_accepts():
    for setting in SETTINGS.values():
        if setting.default is not None and setting.default is not False:
            assert setting.kind.parse(str(setting.default)) == setting.default


def test_scanner_owns_its_defaults():
    made = settings.make({"noise": "projection"})
    assert settings.degradation_of(made).noise.scanner == Scanner()


def test_crop_must_be_a_multiple_of_scale_and_both_step_counts_go_together():
    for given, reason in (
        ({"crop": 66}, "multiple of --scale"),
        ({"pretrain_steps": 3}, "go together"),
        ({"gan_steps": 3}, "go together"),
        ({"noise": "projection", "noise_hu": 9.0, "photons": 9.0}, "exclude each other"),
        ({"dose": Levels((0.5,))}, "--dose belongs to --noise projection"),
        ({"noise": "projection", "noise_sigma": Levels((0.01,))}, "--noise-sigma belongs to"),
    ):
        with pytest.raises(UserError, match=reason):
            settings.make(given)


@pytest.mark.parametrize("crop", [8, 12])
def test_a_crop_too_small_for_vgg54_is_refused_with_the_least_size(crop):
    with pytest.raises(UserError, match=f"--crop {crop} is too small for .*vgg54: give --crop 16"):
        settings.make({"crop": crop, "content_loss": "vgg54"})
    for more in (
        {"content_loss": "vgg32"}, {"content_loss": "vgg22"}, {"content_loss": "pixel"},
        {"vgg_weights": "none"}, {"gan_share": 0.0}, {"pretrain_steps": 5, "gan_steps": 0},
    ):  # fmt: skip
        assert settings.make({"crop": crop, "content_loss": "vgg54"} | more).crop == crop
    assert settings.make({"crop": 16, "content_loss": "vgg54"}).crop == 16


def test_levels_are_one_value_a_range_or_a_list():
    assert Levels.parse("1700") == Levels((1700.0,))
    assert Levels.parse("500:5000") == Levels((500.0, 5000.0), True)
    assert Levels.parse("500,1700") == Levels((500.0, 1700.0))
    assert Levels.parse("5:5") == Levels((5.0, 5.0), False)
    for text in ("1700", "500:5000", "500,1700"):
        assert str(Levels.parse(text)) == text


def test_given_settings_replace_those_of_the_checkpoint_and_these_the_defaults():
    made = settings.make({"seed": 3}, {"seed": 2, "scale": 2})
    assert (made.seed, made.scale, made.crop) == (3, 2, 64)


def test_record_can_be_read_back_and_holds_no_path():
    text = "train --noise-lambda 1700 --split secret.csv --data secret --seed 5"
    _, given = parse(text.split())
    given["vgg_weights"] = "secret.h5"
    kept = settings.record(settings.make(given))
    assert "secret" not in str(kept)
    back = settings.make({}, settings.from_record(kept))
    assert back.noise_lambda == Levels((1700.0,))
    assert back.seed == 5
    assert back.vgg_weights == "file"
    with pytest.raises(UserError, match="lacks"):
        settings.from_record({"no_such": 1})


def test_only_precision_may_change_when_a_recorded_run_is_resumed():
    assert [s.name for s in SETTINGS.values() if s.recorded and s.may_change] == ["precision"]


def test_strengths_are_an_ascending_list_from_0_to_1():
    kind = settings.SETTINGS["strength"].kind_for("test")
    assert kind.parse("1,0,0.50") == (0.0, 0.5, 1.0)
    for text, reason in (
        ("1.1", "not a strength from 0 to 1"),
        ("nan", "not a strength"),
        ("0.5,0.50", "twice"),
        ("0.1234", "three decimals"),
        ("", "not a strength"),
        (",".join(f"{n / 20:g}" for n in range(12)), "more than 11"),
    ):
        with pytest.raises(ValueError, match=reason):
            kind.parse(text)
