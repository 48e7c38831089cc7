import keras
import numpy as np
import pytest
import tensorflow as tf

from srgan.models import discriminator, generator
from srgan.models.layers import AlignedBicubic, ConvToOne, FusedBatchNorm, SubPixel
from srgan.resampling import bicubic
from srgan.settings import SETTINGS


@pytest.mark.parametrize("form", ["fast", "paper"])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_generator_takes_any_size_and_returns_float32(form, scale):
    model = generator.build(form, scale)
    low = np.random.default_rng(0).uniform(-1, 1, (2, 12, 20, 1)).astype(np.float32)
    output = np.asarray(model(low))
    assert output.shape == (2, 12 * scale, 20 * scale, 1)
    assert output.dtype == np.float32


def test_fast_generator_of_scale_1_takes_odd_sizes_and_depends_on_what_is_near_alone():
    model = generator.build("fast", 1)
    rng = np.random.default_rng(0)
    weights = [w if w.any() else rng.normal(0, 0.1, w.shape) for w in model.get_weights()]
    model.set_weights(weights)  # its correction starts at zero
    low = rng.normal(0, 0.1, (1, 128, 128, 1)).astype(np.float32)
    whole, part = np.asarray(model(low)), np.asarray(model(low[:, :127, :121]))
    assert part.shape == (1, 127, 121, 1)
    assert np.abs(whole - low).max() > 1e-3
    np.testing.assert_allclose(part[:, :64, :64], whole[:, :64, :64], atol=1e-5)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_fast_generator_starts_as_aligned_bicubic(scale):
    low = np.random.default_rng(0).uniform(-1, 1, (1, 16, 11, 1)).astype(np.float32)
    output = np.asarray(generator.build("fast", scale)(low))[..., 0]
    wanted = bicubic(low[..., 0], scale) if scale > 1 else low[..., 0]
    assert np.abs(output - wanted).max() < 1e-6


@pytest.mark.parametrize("scale", [2, 4])
def test_aligned_bicubic_layer_equals_resampling_bicubic_up_to_the_edges(scale):
    low = np.random.default_rng(1).normal(size=(2, 7, 9, 1)).astype(np.float32)
    ours = bicubic(low[..., 0], scale)
    assert np.abs(np.asarray(AlignedBicubic(scale)(low))[..., 0] - ours).max() < 2e-6


def test_aligned_bicubic_layer_takes_sizes_known_only_at_run_time():
    import tensorflow as tf

    layer = AlignedBicubic(4)
    call = tf.function(
        lambda x: layer(x), input_signature=[tf.TensorSpec((None, None, None, 1), tf.float32)]
    )
    assert call(tf.zeros((1, 5, 8, 1))).shape == (1, 20, 32, 1)


@pytest.mark.parametrize("factor", [2, 4])
def test_sub_pixel_equals_depth_to_space(factor):
    import tensorflow as tf

    x = np.random.default_rng(0).normal(size=(2, 3, 5, 3 * factor**2)).astype(np.float32)
    ours = np.asarray(SubPixel(factor)(x))
    theirs = tf.nn.depth_to_space(x, factor).numpy()
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("rows", "columns"), [(9, 9), (5, 3)])
def test_conv_to_one_equals_the_convolution_of_keras_and_so_do_its_gradients(rows, columns):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(2, 12, 17, 6)), tf.float32)
    found = []
    for kind in (ConvToOne, keras.layers.Conv2D):
        layer = kind(1, (rows, columns), padding="same")
        layer.build(x.shape)
        kernel = np.linspace(-0.1, 0.1, rows * columns * 6).reshape(rows, columns, 6, 1)
        layer.set_weights([kernel, np.array([2.0])])
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x)
            loss = tf.reduce_sum(output * tf.sin(output))
        found.append([output, *tape.gradient(loss, [x, *layer.trainable_variables])])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)


def test_conv_to_one_rounds_once_in_bfloat16():
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 64)).astype(np.float32)
    x = np.asarray(tf.cast(tf.cast(x, tf.bfloat16), tf.float32))
    exact, mixed = (ConvToOne(1, 9, padding="same", dtype=d) for d in ("float32", "mixed_bfloat16"))
    exact.build(x.shape)
    mixed.build(x.shape)
    mixed.set_weights(exact.get_weights())
    wanted = np.asarray(exact(x))
    error = np.asarray(mixed(x), np.float32) - wanted
    assert mixed(x).dtype == tf.float32
    assert error.std() < 0.004 * wanted.std()  # half a step of bfloat16 is 0.2 to 0.4 %


def test_fused_batch_norm_equals_keras():
    import keras

    x = np.random.default_rng(0).normal(3, 2, (4, 6, 6, 8)).astype(np.float32)
    ours, theirs = FusedBatchNorm(), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)
    for training in (True, True, False):
        a, b = (np.asarray(layer(x, training=training)) for layer in (ours, theirs))
        assert np.abs(a - b).max() < 0.02 if training is False else np.abs(a - b).max() < 1e-4


def test_paper_generator_has_the_parts_of_the_paper():
    model = generator.build("paper", 4)
    names = [layer.name for layer in model.layers]
    assert sum(n.endswith("_conv1") for n in names) == 16
    assert model.get_layer("head").kernel_size == (9, 9)
    assert model.get_layer("out").kernel_size == (9, 9)
    output = np.asarray(model(np.full((1, 16, 16, 1), 50.0, np.float32)))
    assert np.abs(output).max() <= 1.0


def test_a_bias_before_a_batch_normalisation_is_not_trained():
    network = generator.build("paper", 4)
    fixed = network.non_trainable_variables
    not_trained = [v.path for v in fixed if v.path.endswith("bias")]
    assert len(not_trained) == 2 * 16 + 1
    assert all("block" in path or "tail" in path for path in not_trained)


def test_generator_weights_depend_on_the_seed_alone():
    a, b, c = (generator.build("fast", 4, seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(a[0], c[0])


@pytest.mark.parametrize("form", discriminator.FORMS)
def test_discriminator_gives_one_float32_logit(form):
    model = discriminator.build(form, 32)
    assert sum(layer.name.startswith("conv") for layer in model.layers) == 8
    logits = np.asarray(model(np.zeros((3, 32, 32, 1), np.float32)))
    assert logits.shape == (3, 1)
    assert logits.dtype == np.float32


def test_the_command_line_offers_every_generator():
    assert SETTINGS["generator"].kind.metavar == "{" + ",".join(generator.FORMS) + "}"
