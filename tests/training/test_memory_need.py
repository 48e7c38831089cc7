"""What a training is told to take where memory is short, and what a large crop takes."""

import re

import numpy as np
import pytest

from srgan.models import discriminator
from srgan.settings import make
from srgan.system import memory
from srgan.system.errors import BAD_INPUT, TRY_AGAIN, UserError
from srgan.system.memory import GB, Room
from srgan.training import checkpoint_models, memory_need

LARGE = make({"batch_size": 64, "crop": 128})


def test_need_grows_with_batch_crop_and_the_gan():
    def need(stage, batch, crop):
        return memory_need.need(LARGE, stage, batch, crop)

    assert need("pretrain", 16, 64) < need("pretrain", 32, 64) < need("pretrain", 32, 128)
    assert need("pretrain", 16, 64) < need("gan", 16, 64) < 1 * GB  # the default


@pytest.mark.parametrize("free", [0.6 * GB, 1 * GB, 2 * GB, 4 * GB])
def test_batch_and_crop_that_are_named_fit(free):
    text = memory_need.remedy(LARGE, free)
    batch = int(re.search(r"--batch-size (\d+)", text)[1])
    crop = int(re.search(r"--crop (\d+)", text)[1])
    assert memory_need.need(LARGE, "gan", batch, 128) <= free
    assert memory_need.need(LARGE, "gan", 64, crop) <= free
    assert (batch < 64, crop < 128) == (True, True)


def test_where_nothing_fits_no_value_is_named_as_one_that_does():
    assert memory_need.remedy(LARGE, 0.1 * GB).startswith("no --batch-size or --crop fits")


@pytest.mark.parametrize(
    ("room", "code"),
    [
        (Room(2 * GB, 4 * GB, memory.ULIMIT, 2 * GB), BAD_INPUT),
        (Room(2 * GB, 64 * GB, "this machine", 1 * GB), TRY_AGAIN),
        (Room(2 * GB, 4 * GB, "the control group", 1 * GB), BAD_INPUT),
    ],
)
def test_stage_that_would_not_fit_is_refused_before_it_begins(monkeypatch, room, code):
    monkeypatch.setattr(memory, "rooms", lambda: [room])
    with pytest.raises(UserError, match=r"^out of memory in the GAN: --batch-size 64 at") as raised:
        memory_need.check(LARGE, "gan", built=False)
    assert re.search(r"take --batch-size \d+ or --crop \d+", str(raised.value))
    assert raised.value.exit_code == code
    memory_need.check(make({}), "gan", built=False)


def test_step_that_is_out_of_memory_names_half_of_what_was_tried():
    line = r"in the GAN: .*take --batch-size (32|16) or --crop \d+"
    with pytest.raises(UserError, match=line), memory_need.told(LARGE, "gan"):
        raise MemoryError


def test_states_above_a_gigabyte_are_told():
    assert memory_need.state_text(GB // 2, 4) == ""
    assert "2.0 GB on the disk, and 4 are kept: 8 GB" in memory_need.state_text(2 * GB, 4)


def test_discriminator_of_crops_up_to_the_papers_has_no_pooling_and_larger_ones_do_not_grow(
    monkeypatch,
):
    monkeypatch.setattr(discriminator, "CONVOLUTIONS", ((2, 2), (2, 2), (2, 2), (2, 2)))
    counts = {}
    for crop in (64, 96, 104, 128, 512):
        model = discriminator.build("paper", crop)
        counts[crop] = model.count_params()
        assert any(layer.name == "pool" for layer in model.layers) == (crop > 96)
        assert model(np.zeros((1, crop, crop, 1), np.float32)).shape == (1, 1)
    assert counts[64] < counts[96] == counts[104] == counts[128] == counts[512]


def test_pooling_gives_the_means_of_areas():
    from srgan.models.layers import MeanPoolTo

    x = np.arange(2 * 7 * 7, dtype=np.float32).reshape(2, 7, 7, 1)
    pooled = np.asarray(MeanPoolTo(3)(x))
    assert pooled.shape == (2, 3, 3, 1)
    assert pooled[1, 0, 2, 0] == x[1, :3, 4:, 0].mean()
    assert pooled[0, 1, 1, 0] == x[0, 2:5, 2:5, 0].mean()
    assert np.array_equal(np.asarray(MeanPoolTo(7)(x)), x)


def test_shortage_while_weights_are_read_is_not_a_file_that_does_not_fit(monkeypatch):
    def load(*_arguments, **_more):
        raise MemoryError

    monkeypatch.setattr(np, "load", load)
    with pytest.raises(MemoryError):
        checkpoint_models._set_weights(None, "srgan-0000001", b"")
