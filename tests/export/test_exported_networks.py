"""A SavedModel, an ONNX file and a file of weights give what the network gives."""

from collections import Counter

import numpy as np
import pytest

from srgan.export import comparison, onnx_file, savedmodel, weights_file
from srgan.models import generator
from srgan.system.errors import UserError
from tests.helpers import made_networks

KINDS = [("fast", 1), ("fast", 4), ("paper", 2)]


@pytest.fixture
def onnx():
    return pytest.importorskip("onnx", reason="needs pip install .[onnx]")


def write_onnx(folder, network, scale):
    pytest.importorskip("tf2onnx", reason="needs pip install .[onnx]")
    onnx_file.write(folder, network, scale)


def check(exported, form, scale):
    """The same as a network that was not exported, with images that are neither flat nor clipped"""
    network = made_networks.network(form, scale)
    wanted = [comparison.of_batch(network)(hu) for hu in comparison.images()]
    assert all(hu.std() > 50 for hu in wanted)
    assert all(((hu > -1000) & (hu < 3000)).mean() > 0.3 for hu in wanted)
    assert comparison.largest_difference_hu(exported, network) < 0.02
    (hu,) = exported(np.full((1, 9, 14), -850, np.float32))
    assert (hu.shape, hu.dtype) == ((9 * scale, 14 * scale), np.float32)


@pytest.mark.parametrize(("form", "scale"), KINDS)
def test_a_savedmodel_gives_what_the_network_gives(form, scale, tmp_path):
    savedmodel.write(tmp_path, made_networks.network(form, scale))
    check(savedmodel.load(tmp_path), form, scale)


@pytest.mark.parametrize(("form", "scale"), KINDS)
def test_an_onnx_file_gives_what_the_network_gives(form, scale, tmp_path):
    write_onnx(tmp_path, made_networks.network(form, scale), scale)
    check(onnx_file.load(tmp_path), form, scale)


@pytest.mark.parametrize(("form", "scale"), KINDS)
def test_a_file_of_weights_gives_the_network_back(form, scale, tmp_path, monkeypatch):
    monkeypatch.setattr(generator, "build", made_networks.network)
    network = made_networks.network(form, scale, seed=5)
    weights_file.write(tmp_path, network)
    again = weights_file.load(tmp_path, form, scale)
    for a, b in zip(again.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(a, b)
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as weights:
        assert len(weights.files) == len(network.weights)
        assert {"head/kernel", "head/bias", "block0_conv1/kernel"} <= set(weights.files)


def test_a_savedmodel_holds_each_weight_once(tmp_path):
    import tensorflow as tf

    network = made_networks.network("paper", 2)
    savedmodel.write(tmp_path, network)
    kept = tf.train.load_checkpoint(str(tmp_path / "variables" / "variables"))
    sizes = [np.prod(shape) for shape in kept.get_variable_to_shape_map().values() if shape]
    assert sum(sizes) == network.count_params()


@pytest.mark.parametrize(("form", "scale", "enlargements"), [("fast", 4, 3), ("paper", 4, 2)])
def test_in_onnx_each_enlargement_is_one_depth_to_space(form, scale, enlargements, tmp_path, onnx):
    """fast has two stages and the bicubic base, paper two stages."""
    write_onnx(tmp_path, made_networks.network(form, scale), scale)
    graph = onnx.load(tmp_path / "model.onnx").graph
    counts = Counter(node.op_type for node in graph.node)
    assert counts["DepthToSpace"] == enlargements
    assert not counts["Transpose"]
    assert not counts["BatchNormalization"]  # they are part of the convolutions


def test_in_onnx_batch_and_sides_are_free_and_named(tmp_path, onnx):
    write_onnx(tmp_path, made_networks.network("fast", 2), 2)
    graph = onnx.load(tmp_path / "model.onnx").graph
    said = [onnx.helper.printable_value_info(of[0]) for of in (graph.input, graph.output)]
    assert said == [
        "%low_dose_hu[FLOAT, batchxrowsxcolumns]",
        "%normal_dose_hu[FLOAT, batchx2*rowsx2*columns]",
    ]


def test_input_and_output_are_clipped_in_the_graph(tmp_path):
    savedmodel.write(tmp_path, generator.build("fast", 1))  # which starts as its input
    hu = np.array([[[-9000, -1025, -1024], [0, 3071, 40000]]], np.float32)
    wanted = [[-1024, -1024, -1024], [0, 3071, 3071]]
    assert np.abs(savedmodel.load(tmp_path)(hu) - wanted).max() < 0.001


@pytest.mark.parametrize("fault_hu", [0.06, np.nan])
def test_a_network_that_differs_is_refused(fault_hu):
    network = made_networks.network()
    right = comparison.of_batch(network)
    assert comparison.largest_difference_hu(right, network) == 0
    with pytest.raises(UserError, match=r"differs .* by (0.06.*|nan) HU, more than 0.05 HU"):
        comparison.largest_difference_hu(lambda hu: right(hu) + np.float32(fault_hu), network)


def test_onnx_without_its_packages_is_one_line(monkeypatch):
    monkeypatch.setattr(onnx_file, "PACKAGES", ("numpy", "no_such_package"))
    with pytest.raises(UserError, match=r"needs no_such_package: pip install .*\.\[onnx\]"):
        onnx_file.check_installed()
