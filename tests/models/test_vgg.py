import numpy as np
import pytest

from srgan.hounsfield import hu_to_network
from srgan.models import vgg, vgg_weights
from srgan.models.vgg_weights import VggWeights
from srgan.settings import LEAST_CROP
from srgan.system.errors import UserError


@pytest.fixture(scope="module")
def patches():
    return np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 1)).astype(np.float32)


@pytest.mark.parametrize("layer", ["vgg54", "vgg32"])
def test_random_features_have_unit_sd_whatever_their_layer(patches, layer):
    features = np.asarray(vgg.build(layer, VggWeights("random"), patches, 1)(patches))
    assert abs(features.std((0, 1, 2)).mean() - 1) < 0.05


def test_random_features_have_unit_sd_and_depend_on_the_seed(patches):
    first = np.asarray(vgg.build("vgg22", VggWeights("random"), patches, 1)(patches))
    assert first.shape == (4, 16, 16, 128)
    assert abs(first.std((0, 1, 2)).mean() - 1) < 0.05
    again = np.asarray(vgg.build("vgg22", VggWeights("random"), patches, 1)(patches))
    other = np.asarray(vgg.build("vgg22", VggWeights("random"), patches, 2)(patches))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_to_vgg_gives_what_the_vgg19_of_keras_expects():
    """-1 is black (0), 1 is white (255), as BGR less ImageNet's means."""
    black, white = (np.asarray(vgg.ToVgg()(np.full((1, 1, 1, 1), v))) for v in (-1.0, 1.0))
    means = [103.939, 116.779, 123.68]
    assert np.allclose(black.ravel(), [-m for m in means])
    assert np.allclose(white.ravel(), [255 - m for m in means])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A VGG19 whose weights are random, and the file that holds them."""
    import keras

    keras.utils.set_random_seed(0)
    vgg19 = keras.applications.VGG19(include_top=False, weights=None, input_shape=(None, None, 3))
    path = tmp_path_factory.mktemp("vgg") / "vgg.weights.h5"
    vgg19.save_weights(path)
    return vgg19, path


@pytest.mark.parametrize(("layer", "name"), [("vgg22", "block2_conv2"), ("vgg32", "block3_conv2")])
def test_features_of_a_file_are_those_of_keras_scaled_as_in_the_paper(made, patches, layer, name):
    import keras

    vgg19, path = made
    before = path.read_bytes()
    ours = vgg.build(layer, VggWeights("file", path), patches, 0)
    block = keras.Model(vgg19.input, vgg19.get_layer(name).output)
    wanted = np.asarray(block(vgg.ToVgg()(patches))) / 12.75
    assert np.abs(np.asarray(ours(patches)) - wanted).max() < 1e-4 * np.abs(wanted).max()
    assert path.read_bytes() == before


def test_distance_of_two_slices_is_the_content_loss(made):
    path = made[1]
    reference, output = np.random.default_rng(1).uniform(-1500, 3500, (2, 48, 64))
    distance = vgg.distance(VggWeights("file", path))
    batch = hu_to_network(np.clip(np.stack([output, reference]), -1024, 3071))[..., None]
    a, b = np.asarray(vgg.build("vgg54", VggWeights("file", path), batch, 0)(batch))
    assert a.shape == (3, 4, 512)
    assert distance(output, reference) == pytest.approx(np.mean((a - b) ** 2), rel=1e-4)
    assert distance(reference, reference) == 0
    for other in (output, reference):  # a reference is kept, and only as long as it is the same
        assert distance(reference, other) == pytest.approx(distance(other, reference), rel=1e-4)


def test_distance_uses_the_middle_of_a_slice(made):
    distance = vgg.distance(VggWeights("file", made[1]))
    reference = np.random.default_rng(1).uniform(-1024, 3071, (240, 256))
    output = reference.copy()
    output[:8], output[:, -16:] = 0, 0
    assert distance(output, reference) == 0
    output[8] += 100
    assert distance(output, reference) > 0


def test_build_with_a_file_that_is_no_vgg19_is_one_clear_line(tmp_path, patches):
    path = tmp_path / "no.h5"
    path.write_bytes(b"not a model")
    with pytest.raises(UserError, match="no VGG19") as error:
        vgg.build("vgg22", VggWeights("file", path), patches, 0)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == b"not a model"


def test_find_raises_for_a_missing_file_before_anything_is_built(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        vgg_weights.find(str(tmp_path / "none.h5"))


def test_find_auto_warns_and_falls_back_and_imagenet_raises(tmp_path, monkeypatch, said):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def no_network(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(vgg_weights.urllib.request, "urlopen", no_network)
    assert vgg_weights.find("auto").mode == "random"
    assert any("RANDOM" in line for line in said)
    with pytest.raises(UserError, match=vgg_weights.MD5) as error:
        vgg_weights.find("imagenet")
    assert vgg_weights.URL in str(error.value)
    assert vgg_weights.find("none").mode == "none"


def test_find_trained_gives_trained_weights_and_downloads_if_asked(tmp_path, monkeypatch, said):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    asked = []

    def no_network(*_, **__):
        asked.append(1)
        raise OSError("no network")

    monkeypatch.setattr(vgg_weights.urllib.request, "urlopen", no_network)
    for wanted in ("auto", "random", "none"):
        assert vgg_weights.find_trained(wanted, False) == VggWeights("none")
    assert not asked
    assert vgg_weights.find_trained("auto", True) == VggWeights("none")
    assert asked
    assert "no network" in said[-1]
    with pytest.raises(UserError, match="no network"):
        vgg_weights.find_trained("imagenet", False)
    path = tmp_path / "mine.h5"
    path.write_bytes(b"")
    assert vgg_weights.find_trained(str(path), False) == VggWeights("file", path)


def test_find_neither_uses_nor_changes_a_damaged_file(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    path = vgg_weights.keras_folder() / vgg_weights.NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    assert vgg_weights.find("auto").mode == "random"
    assert path.read_bytes() == b"half"


@pytest.mark.parametrize(("layer", "least"), LEAST_CROP.items())
def test_features_of_the_smallest_crop_that_settings_allow(layer, least):
    patch = np.zeros((2, least, least, 1), np.float32)
    assert np.isfinite(np.asarray(vgg.build(layer, VggWeights("random"), patch, 0)(patch))).all()
