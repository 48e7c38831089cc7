"""The GAN stage of an experiment: losses and updates until its CPU time is used."""

from dataclasses import dataclass
from functools import partial

import keras
import tensorflow as tf

from benchmarks import trial_discriminators
from benchmarks.experiments_rows import ROWS, Gan
from benchmarks.trial_losses import artefact_loss, bound_weights, game_losses, slope_penalty
from benchmarks.trial_networks import network
from benchmarks.trial_pretraining import Lines, adam, apply, follow, timed_batches
from srgan.lowdose.degradation import Degradation
from srgan.models import vgg, vgg_weights
from srgan.training import batches
from srgan.training.adam import Adam
from srgan.training.batches import SliceSet
from srgan.training.plan import cosine
from srgan.training.texture_loss import texture_loss

FIRST_BATCH = 10**8  # pre-training has seen those from 0 on


@dataclass(frozen=True)
class Networks:
    generator: keras.Model
    average: keras.Model
    judge: keras.Model
    features: keras.Model | None
    generator_optimizer: Adam
    judge_optimizer: Adam


def train(
    gan: Gan, weights: list, seed: int, core_s: float, slices: SliceSet, degradation: Degradation
) -> tuple[keras.Model, int]:
    """The averaged generator after so much CPU time, and the number of steps.

    weights: of the pre-trained network, the row gan.start.
    """
    networks, step = _networks(gan, weights, seed, slices, degradation), 0
    update = tf.function(partial(_step, gan, networks), reduce_retracing=True)
    of_batches = (slices, degradation, (gan.batch,), gan.crop, seed, core_s, FIRST_BATCH)
    told = Lines()
    for step, used, low, normal in timed_batches(*of_batches):
        networks.generator_optimizer.learning_rate = gan.rate * cosine(used)
        networks.judge_optimizer.learning_rate = gan.judge_rate * cosine(used)
        told(used, step, update(low, normal, tf.constant(step)))
    return networks.average, step


def _networks(gan: Gan, weights: list, seed: int, slices, degradation) -> Networks:
    generator, average = (network(ROWS[gan.start].settings(), seed) for _ in range(2))
    for started in (generator, average):
        started.set_weights(weights)
    judge, features = trial_discriminators.build(gan, seed), None
    if gan.content != "none":
        _, normal = batches.batch(slices, gan.batch, gan.crop, degradation, seed, FIRST_BATCH)
        features = vgg.build(gan.content, vgg_weights.find("random"), normal, seed)
    optimizers = adam(gan.rate, generator), adam(gan.judge_rate, judge)
    return Networks(generator, average, judge, features, *optimizers)


def _step(gan: Gan, networks: Networks, low, normal, step) -> dict:
    generator, judge = networks.generator, networks.judge
    with tf.GradientTape() as tape:
        output = generator(low, training=True)
        with tf.GradientTape() as judge_tape:
            real, fake = _logits(gan, judge, normal, output)
            judge_loss, adversarial = game_losses(gan.game, real, fake)
            if gan.game == "wasserstein-penalty":
                judge_loss += slope_penalty(judge, normal, output)
        losses = _losses(gan, networks, low, normal, output, step) | {"adversarial": adversarial}
        loss = tf.add_n([_weight(gan, name) * value for name, value in losses.items()])
    gradients = tape.gradient(loss, generator.trainable_variables)
    judge_gradients = judge_tape.gradient(judge_loss, judge.trainable_variables)
    apply(networks.generator_optimizer, generator, gradients, gan.clip)
    apply(networks.judge_optimizer, judge, judge_gradients, clip=0.0)
    if gan.game == "wasserstein-clip":
        bound_weights(judge)
    follow(networks.average, generator, gan.average, step)
    gap = tf.reduce_mean(real) - tf.reduce_mean(fake)
    return losses | {"discriminator": judge_loss, "gap": gap}


def _logits(gan: Gan, judge, normal, output) -> tuple:
    """Of real and of fake patches; a batch normalisation must see them apart."""
    if gan.norm == "batch":
        return judge(normal, training=True), judge(output, training=True)
    return tf.split(judge(tf.concat([normal, output], 0), training=True), 2)


def _losses(gan: Gan, networks: Networks, low, normal, output, step) -> dict:
    """The losses of the generator by name, without the adversarial one."""
    losses = {"pixel": tf.reduce_mean(tf.abs(output - normal))}
    if networks.features is not None:
        wanted = tf.stop_gradient(networks.features(normal))
        losses["content"] = tf.reduce_mean(tf.square(networks.features(output) - wanted))
    if gan.texture:
        losses["texture"] = texture_loss(output, normal, step)
    if gan.artefacts:
        averaged = networks.average(low, training=False)
        losses["artefacts"] = artefact_loss(output, averaged, normal)
    return losses


def _weight(gan: Gan, name: str) -> float:
    return gan.content_weight if name == "content" else getattr(gan, name)
