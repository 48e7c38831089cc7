"""Which devices train, and what is said where that cannot be."""

import pytest

from srgan.flag_values import devices as kind
from srgan.settings import Settings
from srgan.system.errors import UserError
from srgan.training import devices
from srgan.training.cluster import Cluster

TWO = Cluster(("a:1", "b:1"), ("worker 0 (a:1)", "worker 1 (b:1)"), 0)


@pytest.mark.parametrize("text", ["0", "-1", "cpu:0", "cpu:", "cpu", "gpu:1", "1.5", "99999", ""])
def test_a_value_that_names_no_devices_is_refused(text):
    with pytest.raises(ValueError, match="is not all, a number of devices"):
        kind.parse(text)


@pytest.mark.parametrize("text", ["all", "1", "8", "cpu:1", "cpu:2"])
def test_a_value_that_names_devices_is_taken_as_it_stands(text):
    assert kind.parse(text) == text


def refusal(cluster=None, **settings):
    with pytest.raises(UserError) as caught:
        devices.check(Settings(**settings), cluster)
    return str(caught.value)


def test_a_batch_without_equal_parts_is_refused_with_those_that_fit():
    line = refusal(batch_size=16, devices="cpu:3")
    assert line == "--batch-size 16 cannot be divided among 3 devices: give --batch-size 15 or 18"
    assert refusal(batch_size=3, devices="4").endswith("give --batch-size 4")
    assert "among 4 devices" in refusal(TWO, batch_size=10, devices="2")
    devices.check(Settings(batch_size=16, devices="4"), TWO)
    devices.check(Settings(batch_size=16), None)


def test_a_worker_has_its_processor_as_one_device():
    assert "--devices cpu:2: with TF_CONFIG" in refusal(TWO, batch_size=16, devices="cpu:2")
    devices.check(Settings(devices="cpu:1"), TWO)


def test_more_devices_than_there_are_end_in_one_line():
    """The tests see no GPU."""
    with pytest.raises(UserError, match="--devices 3: this machine has no GPU; give --devices all"):
        devices.strategy_of("3", None)


def test_one_device_trains_without_a_strategy():
    import tensorflow as tf

    for text in ("1", "all", "cpu:1"):
        strategy = devices.strategy_of(text, None)
        assert strategy is tf.distribute.get_strategy()
        assert devices.described(strategy, None) == "trains on the processor"
