"""What the two networks of a GAN experiment play for, and a loss that penalises artefacts."""

import tensorflow as tf

PENALTY = 10.0  # of Gulrajani et al., NeurIPS 2017
LARGEST_WEIGHT = 0.01  # of Arjovsky et al., ICML 2017
AREA_PX = 7
ERROR_UNIT = 0.05  # about 100 HU in the range of the networks


def game_losses(game: str, real, fake) -> tuple:
    """The loss of the discriminator and that of the generator, from logits."""
    mean, relu = tf.reduce_mean, tf.nn.relu
    if game == "logistic":
        return _softplus(-real) + _softplus(fake), _softplus(-fake)
    if game == "relativistic":  # average: Jolicoeur-Martineau, ICLR 2019
        over, under = real - mean(fake), fake - mean(real)
        return _softplus(-over) + _softplus(under), _softplus(-under) + _softplus(over)
    if game == "squares":  # Mao et al., ICCV 2017
        return mean((real - 1) ** 2) + mean(fake**2), mean((fake - 1) ** 2)
    if game == "hinge":
        return mean(relu(1 - real)) + mean(relu(1 + fake)), -mean(fake)
    return mean(fake) - mean(real), -mean(fake)  # wasserstein-*


def _softplus(x):
    return tf.reduce_mean(tf.nn.softplus(x))


def slope_penalty(judge, real, fake):
    """How far the slope of a discriminator is from 1 between real and fake patches."""
    fake = tf.stop_gradient(fake)
    between = real + tf.random.uniform((tf.shape(real)[0], 1, 1, 1)) * (fake - real)
    with tf.GradientTape() as tape:
        tape.watch(between)
        logits = tf.reduce_sum(judge(between, training=True))
    slopes = tape.gradient(logits, between)
    norms = tf.sqrt(tf.reduce_sum(tf.square(slopes), (1, 2, 3)) + 1e-12)
    return PENALTY * tf.reduce_mean(tf.square(norms - 1.0))


def bound_weights(judge) -> None:
    for variable in judge.trainable_variables:
        variable.assign(tf.clip_by_value(variable, -LARGEST_WEIGHT, LARGEST_WEIGHT))


def artefact_loss(output, averaged, normal):
    """L1 where the error varies much from pixel to pixel (Liang et al., CVPR 2022, LDL).

    averaged: the output of the averaged weights. Where that is no better, there is no penalty. All
    are (b, h, w, 1). The published map is for errors of colours from 0 to 1; here the unit is 100
    HU, and no gradient goes through the map.
    """
    error = tf.abs(output - normal)
    scaled = tf.stop_gradient(error) / ERROR_UNIT
    mean, square = (
        tf.nn.avg_pool2d(image, AREA_PX, 1, "SAME") for image in (scaled, tf.square(scaled))
    )
    of_patch = tf.math.reduce_variance(scaled, (1, 2, 3), keepdims=True) ** 0.2
    weight = of_patch * tf.nn.relu(square - tf.square(mean))
    worse = tf.abs(output - normal) >= tf.abs(averaged - normal)
    return tf.reduce_mean(tf.stop_gradient(weight * tf.cast(worse, tf.float32)) * error)
