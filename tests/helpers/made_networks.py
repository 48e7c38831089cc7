"""Small generators whose weights and batch statistics are none that they start with."""

import numpy as np

from srgan.models import generator


def network(form: str = "fast", scale: int = 2, seed: int = 1):
    """Of the parts and names of a real one, with one block of 8 maps."""
    build, rng = generator.FORMS[form].build, np.random.default_rng(seed)
    model = build(scale, generator.initial_weights(seed), blocks=1, maps=8)
    for weight in model.weights:
        value = weight.numpy() * (0.2 if weight.path == "out/kernel" else 1)  # or tanh saturates
        change = 0.02 * rng.uniform(-1, 1, value.shape)
        weight.assign(value * rng.uniform(0.8, 1.2, value.shape) + change)
    return model
