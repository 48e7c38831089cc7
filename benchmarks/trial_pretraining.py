"""The pre-training of an experiment: patches, loss and updates until its CPU time is used."""

import logging
import time
from collections.abc import Iterator
from functools import partial

import keras
import tensorflow as tf

from benchmarks.experiments_rows import Recipe
from benchmarks.trial_networks import network
from srgan.hounsfield import WINDOWS, hu_to_network
from srgan.lowdose.degradation import Degradation
from srgan.models.layers import FusedBatchNorm
from srgan.training import batches
from srgan.training.adam import Adam
from srgan.training.batches import SliceSet
from srgan.training.plan import cosine

log = logging.getLogger("srgan.benchmarks")
GROWING = (4, 8, 16, 32)
MSE_GAIN = 30.0  # its gradients are then about as large as those of L1, for clipping
CHARBONNIER = 0.01  # 20 HU in the range of the networks
RECALIBRATED_ON = 100  # batches
LINES = 5  # of progress


def timed_batches(
    slices: SliceSet,
    degradation: Degradation,
    sizes: tuple[int, ...],
    crop: int,
    seed: int,
    core_s: float,
    first: int = 0,
) -> Iterator[tuple]:
    """(step from 1, share of the budget that is used, low dose, normal dose) until it is used.

    The budget is CPU time of this process in seconds. It begins with the end of the first step,
    in which TensorFlow compiles. sizes: of the batches, each for an equal part of the budget.
    first: number of the first batch.
    """
    step, began = 0, None
    for part, n in enumerate(sizes, 1):
        k = first + step
        for low, normal in batches.dataset(slices, n, crop, degradation, seed, k, k + 10**7):
            used = 0.0 if began is None else (time.process_time() - began) / core_s
            if used >= part / len(sizes):
                break
            step += 1
            yield step, used, low, normal
            if began is None:
                began = time.process_time()


def train(
    recipe: Recipe, seed: int, core_s: float, slices: SliceSet, degradation: Degradation
) -> tuple[keras.Model, int]:
    """The averaged network of a recipe after so much CPU time, and its number of steps."""
    trained, average = network(recipe, seed), network(recipe, seed)
    optimizer = adam(recipe.rate, trained)
    update = tf.function(partial(_step, recipe, trained, average, optimizer), reduce_retracing=True)
    sizes, step = GROWING if recipe.growing else (recipe.batch,), 0
    of_batches = (slices, degradation, sizes, recipe.crop, seed, core_s)
    told = Lines()
    for step, used, low, normal in timed_batches(*of_batches):
        warm = min(1.0, step / recipe.warmup) if recipe.warmup else 1.0
        optimizer.learning_rate = recipe.rate * warm * (cosine(used) if recipe.falling else 1.0)
        told(used, step, update(low, normal, tf.constant(step)))
    if recipe.recalibrated:
        _recalibrate(average, slices, degradation, recipe, seed)
    return average, step


def adam(rate: float, trained: keras.Model) -> Adam:
    optimizer = Adam(rate, beta_1=0.9, beta_2=0.99)
    optimizer.build(trained.trainable_variables)
    return optimizer


class Lines:
    """Tells the losses a few times in a run."""

    def __init__(self):
        self.told = 0

    def __call__(self, used: float, step: int, losses: dict) -> None:
        if int(used * LINES) > self.told:
            self.told = int(used * LINES)
            values = ", ".join(f"{name} {float(value):.4g}" for name, value in losses.items())
            log.info(f"{used:.0%}, step {step}: {values}")


def _step(recipe: Recipe, trained, average, optimizer, low, normal, step) -> dict:
    with tf.GradientTape() as tape:
        loss = pixel_loss(recipe, trained(low, training=True), normal)
    gradients = tape.gradient(loss, trained.trainable_variables)
    norm = apply(optimizer, trained, gradients, recipe.clip)
    follow(average, trained, recipe.average, step)
    return {"loss": loss, "gradient": norm}


def pixel_loss(recipe: Recipe, output, normal):
    error = output - normal
    if recipe.loss == "mse":
        loss = MSE_GAIN * tf.reduce_mean(tf.square(error))
    elif recipe.loss == "charbonnier":
        loss = tf.reduce_mean(tf.sqrt(tf.square(error) + CHARBONNIER**2))
    else:
        loss = tf.reduce_mean(tf.abs(error))
    if recipe.window:
        low, high = map(hu_to_network, WINDOWS["mediastinum"])
        seen = tf.clip_by_value(output, low, high) - tf.clip_by_value(normal, low, high)
        loss += recipe.window * tf.reduce_mean(tf.abs(seen))
    return loss


def apply(optimizer: Adam, trained: keras.Model, gradients: list, clip: float):
    """One update; returns the norm of the gradients before clipping."""
    norm = tf.linalg.global_norm(gradients)
    if clip:
        gradients, _ = tf.clip_by_global_norm(gradients, clip, norm)
    for gradient, variable in zip(gradients, trained.trainable_variables, strict=True):
        optimizer.update_step(gradient, variable, optimizer.learning_rate)
    optimizer.iterations.assign_add(1)
    return norm


def follow(average: keras.Model, trained: keras.Model, decay: float, step) -> None:
    """The running mean of the weights."""
    rate = tf.maximum(1.0 - decay, 1.0 / tf.cast(step, tf.float32))
    for kept, variable in zip(average.variables, trained.variables, strict=True):
        kept.assign(kept + rate * (variable - kept))


def _recalibrate(average, slices, degradation, recipe: Recipe, seed: int) -> None:
    """Running statistics of the averaged weights: their mean over fresh batches."""
    norms = [layer for layer in average.layers if isinstance(layer, FusedBatchNorm)]
    of_batches = (slices, recipe.batch, recipe.crop, degradation, seed + 1, 0, RECALIBRATED_ON)
    for k, (low, _) in enumerate(batches.dataset(*of_batches)):
        for norm in norms:
            norm.momentum = k / (k + 1)
        average(low, training=True)
