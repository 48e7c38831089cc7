"""A step is applied whole or not at all."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from srgan.models import discriminator, generator
from srgan.training import setup
from srgan.training import trainer as trainers


def trainer(form):
    def small():
        initial = generator.initial_weights(3)
        return {
            "fast": lambda: generator.fast(2, initial, blocks=1, maps=4),
            "paper": lambda: generator.paper(2, initial, blocks=1, maps=4),
        }[form]()

    made, critic = small(), discriminator.build(form, 16)
    return trainers.Trainer(
        form=form,
        content_mode="none",
        generator=made,
        average=small(),
        discriminator=critic,
        features=None,
        generator_optimizer=setup.adam(made.trainable_variables),
        discriminator_optimizer=setup.adam(critic.trainable_variables),
    )


@pytest.fixture
def small_discriminator(monkeypatch):
    monkeypatch.setattr(discriminator, "CONVOLUTIONS", ((4, 1), (4, 2)))


def batch(bad=None):
    rng = np.random.default_rng(1)
    low, normal = (rng.uniform(-1, 1, (2, n, n, 1)).astype(np.float32) for n in (8, 16))
    if bad is not None:
        low[1, 3, 3] = bad
    return tf.constant(low), tf.constant(normal)


def bits(made):
    return [np.asarray(v.numpy()).tobytes() for v in made.variables()]


@pytest.mark.parametrize("stage", ["pretrain_step", "gan_step"])
def test_step_with_a_loss_that_is_not_finite_changes_no_variable(small_discriminator, stage):
    """The paper's form: its batch statistics move in the forward pass already."""
    made = trainer("paper")
    update, before = getattr(made, stage), bits(made)
    for bad in (np.nan, np.inf):
        losses = update(*batch(bad), tf.constant(1))
        assert (int(losses["applied"]), int(losses["fault"])) == (0, 1)
        assert "overflow" not in losses
        assert all(np.isfinite(float(v)) for v in losses.values())
        assert bits(made) == before
    losses = update(*batch(), tf.constant(1))
    assert (int(losses["applied"]), int(losses["fault"])) == (1, 0)
    assert sum(a != b for a, b in zip(bits(made), before, strict=True)) > 10


def test_step_with_a_float16_overflow_lowers_the_loss_scale_and_is_no_fault(small_discriminator):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        made = trainer("fast")
        scale = made.generator_optimizer.dynamic_scale
        scale.assign(1e30)
        other = made.discriminator_optimizer.dynamic_scale
        other.assign(2.0)
        before = [v.numpy() for v in made.generator.variables]
        losses = made.gan_step(*batch(), tf.constant(1))
        assert [int(losses[name]) for name in ("applied", "fault", "overflow")] == [0, 0, 1]
        assert float(losses["l1"]) > 0
        assert float(scale) == pytest.approx(5e29)
        assert float(other) == 2.0  # its gradients were well
        for was, now in zip(before, made.generator.variables, strict=True):
            assert np.array_equal(was, now.numpy())
        scale.assign(2.0)
        losses = made.gan_step(*batch(), tf.constant(2))
        assert [int(losses[name]) for name in ("applied", "fault", "overflow")] == [1, 0, 0]
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("form", ["fast", "paper"])
@pytest.mark.parametrize("stage", ["pretrain_step", "gan_step"])
def test_float16_trains_from_a_loss_scale_that_is_too_large(small_discriminator, form, stage):
    """Its first steps overflow and are skipped, until the scale fits; then the loss falls."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        made, pairs = trainer(form), batch()
        made.generator_optimizer.learning_rate = 3e-3
        scale = made.generator_optimizer.dynamic_scale
        scale.assign(1e9)
        steps = [getattr(made, stage)(*pairs, tf.constant(k)) for k in range(1, 61)]
    finally:
        keras.mixed_precision.set_global_policy("float32")
    applied = [int(losses["applied"]) for losses in steps]
    assert not any(int(losses["fault"]) for losses in steps)
    assert 1 < applied.index(1) < 40
    assert applied[-5:] == [1] * 5
    assert float(scale) < 1e9
    pixel = "mse" if "mse" in steps[0] else "l1"
    assert float(steps[-1][pixel]) < 0.98 * float(steps[0][pixel])
