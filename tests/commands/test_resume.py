"""--recipe: named settings of a run, and what they mean when it is resumed."""

import pytest

from srgan import cli
from srgan.commands import resume
from srgan.commands import train as run
from srgan.settings import DAY, RECIPES, SETTINGS, TRAIN, make, record, with_recipe
from srgan.system.errors import UserError
from srgan.training.plan import Plan
from tests.conftest import ROOT
from tests.helpers.made_manifest import manifest


def settings_of(flags: str) -> dict:
    return with_recipe(cli.parse(["train", *flags.split()])[1])


@pytest.fixture
def resumed():
    """resumed(flags of the first start, flags of the second) gives the settings of the second."""

    def resumed(first: str, second: str):
        kept = record(make(settings_of(first)))
        before = manifest(settings=kept, plan=Plan(1000, 400), step=3)
        return resume.resumed_settings(settings_of(second), before)

    return resumed


def test_a_recipe_sets_recorded_settings_of_train_to_values_that_their_flags_accept():
    assert RECIPES.keys() == {"short", "day"}
    for recipe in RECIPES.values():
        assert recipe.keys() == DAY.keys()
        for name, value in recipe.items():
            assert set(TRAIN) <= set(SETTINGS[name].verbs)
            assert SETTINGS[name].recorded
            assert SETTINGS[name].kind_for("train").parse(str(value)) == value


def test_a_flag_wins_over_the_recipe_and_the_recipe_over_the_defaults():
    made = make(settings_of("--recipe day --crop 96 --seed 5"))
    assert (made.crop, made.seed) == (96, 5)
    assert (made.train_minutes, made.batch_size) == (DAY["train_minutes"], DAY["batch_size"])
    for flags in ("", "--recipe short"):
        assert record(make(settings_of(flags))) == record(make({}))


def test_help_of_train_says_what_the_recipe_of_a_day_sets(monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    shown = " ".join(f"{SETTINGS[name].flag} {value:g}" for name, value in DAY.items())
    assert f"for a day on a GPU: {shown}. A flag that you give wins." in cli.help_text("train")
    assert f"`{shown}`" in (ROOT / "docs" / "training.md").read_text("utf-8")


def test_training_takes_the_values_of_the_recipe(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(run, "_train", lambda given, *_: taken.append(make(given)) or 0)
    folders = f"--checkpoint-dir {tmp_path}/checkpoint --train-dir {tmp_path}/train"
    assert run.train(cli.parse(f"train --recipe day --batch-size 8 {folders}".split())[1]) == 0
    (settings,) = taken
    assert (settings.train_minutes, settings.batch_size) == (DAY["train_minutes"], 8)


@pytest.mark.parametrize("second", ["", "--recipe day", "--recipe day --batch-size 8"])
def test_a_run_with_a_recipe_goes_on_with_and_without_it(resumed, second):
    first = "--recipe day --batch-size 8" if "batch" in second else "--recipe day"
    assert record(resumed(first, second)) == record(make(settings_of(first)))


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("--recipe day", "--recipe short", f"--crop {DAY['crop']}, not 64: leave --recipe short "),
        ("", "--recipe day", f"--crop 64, not {DAY['crop']}: leave --recipe day out to continue"),
        ("", "--recipe day --seed 3", "leave --recipe day and the flag out to continue"),
        ("", "--seed 3", "--seed 0, not 3: leave the flag out to continue"),
        (
            f"--crop {DAY['crop']} --train-minutes 9999",
            "--recipe day",
            f"--train-minutes 9999.0, not {DAY['train_minutes']}: leave --recipe day out",
        ),
    ],
)
def test_another_recipe_than_that_of_the_run_is_refused_and_named(resumed, first, second, text):
    with pytest.raises(UserError) as refused:
        resumed(first, second)
    assert text in str(refused.value)
