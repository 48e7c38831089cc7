"""benchmarks/experiments.py: its rows train, its record holds what they say, its page renders."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import experiments, experiments_tables
from benchmarks.experiments_rows import DEFAULT, ROWS, Recipe
from srgan.training.batches import SliceSet
from tests.conftest import small_chest
from tests.helpers.made_structure import IMAGE_NOISE

pytestmark = pytest.mark.filterwarnings("ignore:Even though the .tf.config")
ONE_STEP_S = 1e-9  # the budget is checked after a step
TINY = {"crop": 32, "batch": 2}
PRETRAINED = ("base", "tail-one", "wide", "fused", "noise-map", "gain-he", "batch-growing")
LOSSES = ("mse", "charbonnier", "mediastinal-window", "clip-none", "rate-constant", "warmup-0")
PAPERS = ("paper-small-start", "paper-recalibrated")
GANS = (
    "gan", "gan-spectral", "gan-norm-none", "gan-patch", "gan-unet", "gan-relativistic",
    "gan-hinge", "gan-squares", "gan-wasserstein-penalty", "gan-wasserstein-clip", "gan-artefacts",
    "gan-texture-alone-0.002", "gan-before",
)  # fmt: skip


@pytest.fixture(scope="module")
def slices():
    return SliceSet(list(small_chest(0)))


@pytest.fixture(scope="module", autouse=True)
def eager():
    """Tracing a step takes seconds, running it once does not."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("name", PRETRAINED + LOSSES + PAPERS)
def test_a_step_of_pretraining_changes_the_network_and_stays_finite(name, slices, monkeypatch):
    from benchmarks import trial_networks, trial_pretraining

    monkeypatch.setattr(trial_pretraining, "RECALIBRATED_ON", 2)
    recipe = replace(ROWS[name].settings(), **TINY, blocks=1, maps=8)
    trained, steps = trial_pretraining.train(recipe, 0, ONE_STEP_S, slices, IMAGE_NOISE)
    assert steps == 1
    before = trial_networks.network(recipe, 0).get_weights()
    after = trained.get_weights()
    assert all(np.isfinite(weights).all() for weights in after)
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("name", GANS)
def test_a_step_of_the_gan_changes_the_network_and_stays_finite(name, slices, monkeypatch):

    import keras

    from benchmarks import trial_gan, trial_networks

    small = trial_networks.network(Recipe(blocks=1, maps=8), 0)
    monkeypatch.setattr(trial_gan, "network", lambda *_: keras.models.clone_model(small))
    gan = replace(ROWS[name].settings(), **TINY, width=0.125, content="none")
    weights = small.get_weights()
    trained, steps = trial_gan.train(gan, weights, 0, ONE_STEP_S, slices, IMAGE_NOISE)
    after = trained.get_weights()
    assert steps == 1
    assert all(np.isfinite(values).all() for values in after)
    assert any((a != b).any() for a, b in zip(weights, after, strict=True))


def test_the_default_rows_are_what_the_program_does():
    from benchmarks import trial_discriminators, trial_networks
    from srgan import settings as all_settings
    from srgan.models import discriminator, generator
    from srgan.training import trainer

    recipe, gan = (ROWS[DEFAULT[kind]].settings() for kind in ("pretraining", "gan"))
    form, settings = generator.FORMS["fast"], all_settings.make({})
    small = {"blocks": 2, "maps": 8}
    ours = trial_networks.network(replace(recipe, **small), 0)
    theirs = generator.fast(4, generator.initial_weights(0), **small)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    low = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(ours(low), theirs(low))
    assert (recipe.blocks, recipe.loss) == (generator.BLOCKS[4], form.pretrain_loss)
    assert (recipe.rate, recipe.clip, recipe.average) == (
        form.pretrain_rate, form.clip, trainer.AVERAGE
    )  # fmt: skip
    assert (recipe.crop, recipe.batch) == (settings.crop, settings.batch_size)

    judges = trial_discriminators.build(gan, 0), discriminator.build("fast", gan.crop, 0)
    assert len({judge.count_params() for judge in judges}) == 1
    assert (gan.content, gan.content_weight) == (settings.content_loss, trainer.CONTENT["random"])
    assert (gan.adversarial, gan.pixel, gan.texture) == (
        form.gan_adversarial, form.gan_pixel, form.gan_texture
    )  # fmt: skip
    assert (gan.rate, gan.judge_rate, gan.clip) == (
        form.gan_rate, trainer.DISCRIMINATOR_RATE, form.clip
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "layer", "gain"),
    [("gain-he", "block0_conv2", 2.0), ("base", "block0_conv2", 0.02), ("paper", "out", 2.0)],
)
def test_a_row_sets_the_initial_gain_of_a_layer(name, layer, gain):
    from benchmarks import trial_networks

    built = trial_networks.network(replace(ROWS[name].settings(), blocks=1), 0)
    kernel = np.asarray(built.get_layer(layer).kernel)
    fan_in = np.prod(kernel.shape[:3])
    assert kernel.std() == pytest.approx((gain / fan_in) ** 0.5, rel=0.03)
    if name == "paper":
        assert (np.asarray(built.get_layer("block0_norm2").gamma) == 1).all()


def test_each_row_has_settings_of_its_own_and_a_yardstick():
    settings = [(row.settings(), row.core_s) for row in ROWS.values() if row.kind != "torch"]
    assert len(set(settings)) == len(settings)
    assert all(ROWS[row.beside].kind == row.kind or row.kind == "torch" for row in ROWS.values())


def test_the_record_holds_what_its_rows_change_and_the_page_shows_it():
    entries = experiments._read(experiments.RECORD)
    assert entries
    for entry in entries:
        assert entry["changes"] == ROWS[entry["row"]].changes, entry["row"]
    assert experiments_tables.page(entries) == (
        experiments.RECORD.with_name("EXPERIMENTS.md").read_text()
    )


def test_a_run_takes_the_place_of_an_equal_one_and_seeds_are_averaged(tmp_path):
    record = tmp_path / "experiments.json"

    def entry(row, seed, lung):
        figures = {"psnr_db.lung": lung}
        about = {"changes": ROWS[row].changes, "made": "today", "machine": "this", "steps": 10}
        return {"row": row, "core_s": 300.0, "seed": seed, "figures": figures, **about}

    for row, seed, lung in (
        ("base", 0, 1.0), ("base", 0, 35.0), ("base", 1, 35.2), ("batch-8", 0, 35.3),
        ("mse", 0, 34.9), ("mse", 1, 34.8)
    ):  # fmt: skip
        experiments.add(record, entry(row, seed, lung))
    experiments.write_page(record)
    page = (tmp_path / "EXPERIMENTS.md").read_text()
    assert "| `base` | defaults | 300 | 2 | 10 | 35.10 |" in page
    assert "| `batch-8` | batch 8 | 300 | 1 | 10 | 35.30 (+0.30) |" in page
    assert "| `mse` | loss mse | 300 | 2 | 10 | 34.85 (-0.25, -0.40 to -0.10) |" in page
    assert "Not run yet: `crop-48`" in page


def test_drawing_patients_equally_gives_each_as_many_slices():
    from benchmarks import trial_slices
    from srgan import settings as all_settings

    class Store:
        records = tuple(SimpleNamespace(pseudonym=p, rows=96, columns=96) for p in "aab")

        def with_role(self, role):
            return [0, 1, 2]

        def hu(self, i):
            return np.full((96, 96), i, np.int16)

    found = trial_slices.training(Store(), all_settings.make({}), Recipe(equally="patients"))
    assert sum(int(hu[0, 0] == 2) for hu in found.hu) == len(found.hu) // 2


def test_noise_in_soft_tissue_is_that_of_the_slice():
    from benchmarks import trial_slices

    noise = np.random.default_rng(0).normal(40, 20, (200, 200))
    assert trial_slices.noise_hu(noise) == pytest.approx(20, rel=0.1)
    assert trial_slices.noise_hu(np.full((200, 200), -900.0)) == 0
