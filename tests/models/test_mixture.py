import keras
import numpy as np
import pytest

from srgan.models import generator, mixture
from srgan.models.layers import FusedBatchNorm

RNG = np.random.default_rng(0)
IMAGE = RNG.uniform(-1, 1, (1, 12, 10, 1)).astype(np.float32)


def network(seed):
    """A small network of the paper's form, as after some training: no weight is at its start."""
    model = generator.paper(2, generator.initial_weights(seed), blocks=1, maps=4)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = weight.numpy() * rng.uniform(0.5, 1.5, weight.shape)
        if weight.name in ("beta", "mean", "bias"):
            values = rng.normal(0, 0.3, weight.shape)
        if weight.name == "variance":
            values = rng.uniform(0.1, 5.0, weight.shape)
        weight.assign(values)
    return model


def one_layer(seed, size=1.0):
    """A convolution and its normalisation, which divides by what the convolution multiplies."""
    low = keras.Input((None, None, 1))
    conv = keras.layers.Conv2D(3, 3, padding="same", name="conv")
    model = keras.Model(low, FusedBatchNorm(name="norm")(conv(low)))
    rng = np.random.default_rng(seed)
    model.get_layer("conv").set_weights([size * rng.normal(size=(3, 3, 1, 3)), np.zeros(3)])
    norm = model.get_layer("norm")
    norm.mean.assign(size * rng.normal(size=3))
    norm.variance.assign(size**2 * rng.uniform(1, 2, 3))
    return model


def mixed(make, first, second, share):
    found = make(9)
    mixture.mix(found, first, second, share)
    return found(IMAGE, training=False).numpy()


def output(model):
    return model(IMAGE, training=False).numpy()


def test_folding_a_normalisation_changes_no_output():
    model = network(1)
    before = output(model)
    mixture.fold(model)
    norm = model.get_layer("block0_norm1")
    assert np.ptp(norm.gamma.numpy()) == np.ptp(norm.mean.numpy()) == 0
    assert np.abs(output(model) - before).max() < 1e-5
    assert np.ptp(before) > 0.1


def test_a_mixture_of_one_normalised_layer_is_the_mixture_of_both_outputs():
    first, second = one_layer(1), one_layer(2, size=100.0)
    a, b = output(first), output(second)
    got = mixed(one_layer, first, second, 0.25)
    assert np.abs(got - (0.75 * a + 0.25 * b)).max() < 1e-4


def test_networks_that_differ_in_the_scale_before_a_normalisation_alone_mix_to_the_same_network():
    """Weights and statistics as they stand would mix to another: its variance is too large."""
    a = output(one_layer(1))
    assert np.abs(mixed(one_layer, one_layer(1), one_layer(1, size=100.0), 0.5) - a).max() < 0.01
    plain = one_layer(9)
    pairs = zip(one_layer(1).get_weights(), one_layer(1, 100.0).get_weights(), strict=True)
    plain.set_weights([(x + y) / 2 for x, y in pairs])
    assert np.abs(output(plain) - a).max() > 0.5


@pytest.mark.parametrize(("share", "seed"), [(0.0, 1), (1.0, 2)])
def test_the_ends_of_a_mixture_are_the_networks_themselves(share, seed):
    got = mixed(network, network(1), network(2), share)
    assert np.abs(got - output(network(seed))).max() < 1e-5


def test_the_middle_of_a_form_without_normalisation_has_the_mean_weights():
    def fast(seed):
        return generator.fast(2, generator.initial_weights(seed), blocks=1, maps=4)

    middle = fast(9)
    mixture.mix(middle, fast(1), fast(2), 0.5)
    for w, a, b in zip(middle.weights, fast(1).weights, fast(2).weights, strict=True):
        assert np.allclose(w, (a.numpy() + b.numpy()) / 2, atol=1e-6)


def test_without_norms_a_network_gives_the_same_and_stays_as_it_was():
    model = network(0)
    wanted, weights = model(IMAGE), model.get_weights()
    lean = mixture.without_norms(model)
    np.testing.assert_allclose(lean(IMAGE), wanted, rtol=0, atol=1e-5)
    assert not any(isinstance(layer, FusedBatchNorm) for layer in lean.layers)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert mixture.without_norms(lean) is lean
