"""Losses and updates of both stages: pre-training on pixels, then the GAN.

An update is applied as a whole or not at all. Where a loss or a gradient is NaN or infinite, no
weight, optimizer moment, average or batch statistic changes. This counts as a fault, unless only
the gradients overflowed in float16: then its loss scale is lowered, as happens now and then.

Under a strategy of TensorFlow each device works on its part of the batch. Losses are means over the
whole batch, and gradients are summed before they are judged and applied: so every device does the
same to its copy of the variables, and all copies stay equal.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from srgan.models.generator import FORMS
from srgan.models.layers import n_devices, sum_over_devices
from srgan.training.plan import Plan, cosine
from srgan.training.texture_loss import WINDOW_PX, texture_loss

CONTENT = {"imagenet": 1.0, "file": 1.0, "random": 0.015}  # by VGG19 weights
AVERAGE = 0.998  # decay of the averaged weights: over a few hundred steps
MOST_PIXELS = 16 * 64**2  # of low dose that are enhanced at once, or one image
DISCRIMINATOR_RATE = 2e-4  # learning rate at the start of the GAN stage


@dataclass
class Trainer:
    """Networks, optimizers, and the averaged generator that is validated and saved.

    It is made within the scope of the strategy that it trains under, as are its fields.
    pretrain_step and gan_step take (low, normal, step), a batch and the number of the update in its
    stage. They return the losses by name, with `applied`, `fault` and in float16 `overflow`: one of
    them is 1, the others are 0. The losses of a fault are 0.
    """

    form: str  # of models.generator.FORMS
    content_mode: str  # VGG19 weights: imagenet, random, file or none
    generator: keras.Model
    average: keras.Model
    discriminator: keras.Model | None
    features: keras.Model | None
    generator_optimizer: keras.optimizers.Optimizer
    discriminator_optimizer: keras.optimizers.Optimizer | None

    def __post_init__(self):
        self.pretrain_step = _on_all_devices(self._pretrain)
        self.gan_step = _on_all_devices(self._gan)
        self._enhance = tf.function(
            lambda low: self.average(low, training=False), reduce_retracing=True
        )

    def enhance(self, low: np.ndarray) -> np.ndarray:
        """Output of the averaged generator: (n, h, w, 1) to (n, scale*h, scale*w, 1), in [-1, 1].

        In batches of 16, of large images in smaller ones.
        """
        n = max(1, min(16, MOST_PIXELS // (low.shape[1] * low.shape[2])))
        parts = [self._enhance(low[i : i + n]).numpy() for i in range(0, len(low), n)]
        return np.concatenate(parts)

    def state(self) -> dict:
        """What a checkpoint holds, as tf.train.Checkpoint takes it."""
        kept = {
            "generator": self.generator,
            "average": self.average,
            "generator_optimizer": self.generator_optimizer,
        }
        if self.discriminator is not None:
            kept["discriminator"] = self.discriminator
            kept["discriminator_optimizer"] = self.discriminator_optimizer
        return kept

    def variables(self) -> list:
        held = [self.generator, self.average, self.discriminator]
        optimizers = [self.generator_optimizer, self.discriminator_optimizer]
        return [v for m in (*held, *optimizers) if m is not None for v in m.variables]

    def set_rates(self, plan: Plan, step: int, factor: float = 1.0) -> float:
        """Learning rates of the update that leads to `step`; returns the generator's."""
        factor *= cosine(plan.share(step))
        gan = plan.stage(step) == "gan"
        form = FORMS[self.form]
        rate = (form.gan_rate if gan else form.pretrain_rate) * factor
        if not gan:
            rate *= min(1.0, step / 100)
        self.generator_optimizer.learning_rate = rate
        if self.discriminator_optimizer is not None:
            self.discriminator_optimizer.learning_rate = DISCRIMINATOR_RATE * factor
        return rate

    def begin_gan(self) -> None:
        """The GAN starts from the averaged SRResNet, with a generator optimizer at rest."""
        for variable, kept in zip(self.generator.variables, self.average.variables, strict=True):
            variable.assign(kept)
        optimizer = self.generator_optimizer
        for variable in getattr(optimizer, "inner_optimizer", optimizer).variables:
            variable.assign(tf.zeros_like(variable.value))

    def _average(self, step):
        rate = tf.maximum(1.0 - AVERAGE, 1.0 / tf.cast(step, tf.float32))
        for kept, variable in zip(self.average.variables, self.generator.variables, strict=True):
            kept.assign(kept + rate * (variable - kept))

    def _statistics(self, *networks) -> list:
        """Batch statistics with their present values: the forward pass changes them."""
        held = [v for network in networks for v in network.non_trainable_variables]
        return [(v, tf.identity(v.value)) for v in held]

    def _update(self, updates, losses, before, step, clip=None) -> dict:
        """Apply (optimizer, network, gradients) if all is finite, else restore `before`.

        Gradients are those of scaled losses (float16); each optimizer divides by its scale. Both
        branches work on this device's copies alone: under a strategy no other call may lie there
        (keras#18666), so what Keras' `apply` does is written out.
        """
        updates = [(*both, sum_over_devices(gradients)) for *both, gradients in updates]
        norms = [tf.linalg.global_norm(gradients) for _, _, gradients in updates]
        finite_losses = tf.reduce_all(tf.math.is_finite(tf.stack(list(losses.values()))))
        applied = finite_losses & tf.reduce_all(tf.math.is_finite(tf.stack(norms)))

        def apply():
            for (optimizer, network, gradients), norm in zip(updates, norms, strict=True):
                if clip and network is self.generator:
                    limit = clip * optimizer.scale_loss(1.0)
                    gradients, _ = tf.clip_by_global_norm(gradients, limit, norm)
                _apply(optimizer, network, gradients)
            self._average(step)

        def skip():
            for variable, value in before:
                variable.assign(value)
            for (optimizer, _, _), norm in zip(updates, norms, strict=True):
                if scales:
                    kept = tf.where(tf.math.is_finite(norm), 1.0, 0.5)
                    optimizer.dynamic_scale.assign(kept * optimizer.dynamic_scale)
                    optimizer.step_counter.assign(0)

        scales = isinstance(self.generator_optimizer, keras.optimizers.LossScaleOptimizer)
        tf.cond(applied, apply, skip)
        for optimizer, _, _ in updates:
            iterations = optimizer.iterations
            iterations.assign_add(tf.cast(applied, iterations.dtype))
        fault = ~finite_losses if scales else ~applied
        what = {"applied": applied, "fault": fault}
        if scales:
            what["overflow"] = finite_losses & ~applied
        kept = {name: tf.where(fault, 0.0, loss) for name, loss in losses.items()}
        return kept | {name: tf.cast(is_so, tf.int32) for name, is_so in what.items()}

    def _pretrain(self, low, normal, step):
        form = FORMS[self.form]
        before = self._statistics(self.generator)
        with tf.GradientTape() as tape:
            output = self.generator(low, training=True)
            error = output - normal
            loss = tf.reduce_mean(
                tf.square(error) if form.pretrain_loss == "mse" else tf.abs(error)
            )
            scaled = self.generator_optimizer.scale_loss(_share(loss))
        gradients = tape.gradient(scaled, self.generator.trainable_variables)
        updates = [(self.generator_optimizer, self.generator, gradients)]
        losses = _means({form.pretrain_loss: loss})
        return self._update(updates, losses, before, step, form.clip)

    def _gan(self, low, normal, step):
        """One update of both networks on one batch; the output and its logits are computed once."""
        form, before = FORMS[self.form], self._statistics(self.generator, self.discriminator)
        with tf.GradientTape() as generator_tape:
            output = self.generator(low, training=True)
            with tf.GradientTape() as discriminator_tape:
                real = self.discriminator(normal, training=True)
                fake = self.discriminator(output, training=True)
                real_loss = tf.reduce_mean(tf.nn.softplus(-real))
                fake_loss = tf.reduce_mean(tf.nn.softplus(fake))
                discriminator_loss = real_loss + fake_loss
                scaled_d = self.discriminator_optimizer.scale_loss(_share(discriminator_loss))
            losses = {"l1": tf.reduce_mean(tf.abs(output - normal))}
            loss = form.gan_pixel * losses["l1"]
            if form.gan_texture and normal.shape[1] >= WINDOW_PX:
                losses["texture"] = texture_loss(output, normal, step)
                loss += form.gan_texture * losses["texture"]
            if self.features is not None:
                wanted = tf.stop_gradient(self.features(normal))
                content = tf.reduce_mean(tf.square(self.features(output) - wanted))
                losses["content"] = content
                loss += CONTENT[self.content_mode] * content
            losses["adversarial"] = tf.reduce_mean(tf.nn.softplus(-fake))
            loss += form.gan_adversarial * losses["adversarial"]
            scaled = self.generator_optimizer.scale_loss(_share(loss))
        losses |= {
            "discriminator": discriminator_loss,
            "real_logit": tf.reduce_mean(real),
            "fake_logit": tf.reduce_mean(fake),
        }
        losses = _means(losses)
        losses["logit_sd"] = tf.math.reduce_std(_from_all_devices(tf.concat([real, fake], 0)))
        updates = [
            (optimizer, network, tape.gradient(loss, network.trainable_variables))
            for tape, loss, optimizer, network in (
                (generator_tape, scaled, self.generator_optimizer, self.generator),
                (discriminator_tape, scaled_d, self.discriminator_optimizer, self.discriminator),
            )
        ]
        return self._update(updates, losses, before, step, form.clip)


def _on_all_devices(update):
    """The compiled update, in which each device of the strategy takes its part of the batch."""
    strategy = tf.distribute.get_strategy()

    def of_part(low, normal, step):
        return update(_part(low), _part(normal), step)

    def step(low, normal, step):
        results = strategy.run(of_part, (low, normal, step))
        return {k: strategy.experimental_local_results(v)[0] for k, v in results.items()}

    return tf.function(step, reduce_retracing=True)


def _part(batch):
    """This device's part of a batch of all: (n, ...) to (n / devices, ...)."""
    if n_devices() == 1:
        return batch
    parts = tf.reshape(batch, (n_devices(), -1, *batch.shape[1:]))
    return parts[tf.distribute.get_replica_context().replica_id_in_sync_group]


def _share(loss):
    """What this device's loss, a mean over its part, adds to the mean over the batch."""
    return loss if n_devices() == 1 else loss / n_devices()


def _means(losses: dict) -> dict:
    """Means over the parts of all devices, from those over this one's."""
    if n_devices() == 1:
        return losses
    sums = sum_over_devices(tf.stack(list(losses.values())))
    return dict(zip(losses, tf.unstack(sums / n_devices()), strict=True))


def _from_all_devices(parts):
    if n_devices() == 1:
        return parts
    return tf.distribute.get_replica_context().all_gather(parts, axis=0)


def _apply(optimizer, network, gradients) -> None:
    """As optimizer.apply, but for the count of its iterations, with finite gradients."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if inner is not optimizer:  # float16
        scale, counter = optimizer.dynamic_scale, optimizer.step_counter
        gradients = [gradient / scale for gradient in gradients]
        grows = tf.equal(counter, optimizer.dynamic_growth_steps - 1)
        scale.assign(tf.where(grows, 2.0 * scale, scale))
        counter.assign(tf.where(grows, 0 * counter, counter + 1))
    rate = inner.learning_rate
    for gradient, variable in zip(gradients, network.trainable_variables, strict=True):
        inner.update_step(gradient, variable, rate)
