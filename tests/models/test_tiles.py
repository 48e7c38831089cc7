import numpy as np
import pytest

from srgan.evaluation import baselines
from srgan.models import generator, tiles
from srgan.models.tiles import Reach
from srgan.system import memory
from srgan.system.errors import UserError

FORMS = {"fast": {"blocks": 1, "maps": 8}, "paper": {"blocks": 1, "maps": 8}}
SHAPE = 45, 38


def network(form, scale):
    """A small generator whose every weight counts."""
    model = getattr(generator, form)(scale, generator.initial_weights(0), **FORMS[form])
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("kernel", "bias"):
            sd = 1 / np.sqrt(np.prod(weight.shape[:-1])) if weight.name == "kernel" else 0.05
            weight.assign(rng.normal(0, sd, weight.shape))
    return model


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("form", FORMS)
def test_a_slice_in_tiles_equals_the_whole_slice_and_half_the_margin_would_not_do(form, scale):
    model = network(form, scale)
    reach = tiles.reach_of(model)
    hu = np.random.default_rng(1).uniform(-1000, 1000, SHAPE).astype(np.float32)
    whole = baselines.network(model)(hu)
    assert whole.shape == (scale * SHAPE[0], scale * SHAPE[1])
    for side in (8, 16):
        np.testing.assert_allclose(baselines.network(model, side)(hu), whole, rtol=0, atol=0.01)
    half = Reach(reach.margin // 4 * 2, reach.grid, reach.pixel_bytes)
    rough = tiles.in_tiles(baselines.network(model), hu, 8, half)
    assert np.abs(rough - whole).max() > 0.05


def test_the_reach_follows_from_the_layers():
    by_hand = {  # 3x3 and 9x9 see 1 and 4 pixels of their own grid; sub-pixel stages halve a pixel
        ("fast", 4): (1 + 16 + 1 + 1 + 0.5, 1),
        ("fast", 1): (2 + 2 * (8 + 1 + 1), 2),  # at half the resolution
        ("paper", 4): (4 + 32 + 1 + 1 + 0.5 + 4 / 4, 1),
        ("paper", 1): (4 + 32 + 1 + 4, 1),
    }
    for (form, scale), (margin, grid) in by_hand.items():
        reach = tiles.reach_of(generator.build(form, scale))
        assert (reach.margin, reach.grid) == (np.ceil(margin), grid)


def test_auto_takes_whole_slices_where_they_fit_and_else_the_largest_tiles(monkeypatch):
    reach = Reach(10, 2, pixel_bytes=1000)

    def side(free):
        monkeypatch.setattr(memory, "rooms", lambda: [memory.Room(free, 10**12, "this machine")])
        return tiles.side_of((100, 90), reach, "auto")

    assert side(10**12) == 100  # 9 MB are needed
    assert side(17 * 10**6) == 50  # half of it is free for 92 x 92 pixels, 72 without margins
    assert side(10**6) == tiles.SMALLEST  # less cannot be done
    monkeypatch.setattr(memory, "rooms", list)  # the system does not say
    assert tiles.side_of((4000, 4000), reach, "auto") < 2000


def test_a_layer_of_unknown_reach_is_never_tiled():
    import keras

    low = keras.Input((None, None, 1))
    model = keras.Model(low, keras.layers.UpSampling2D(2)(low))
    hu = np.zeros((8, 8))
    assert baselines.network(model)(hu).shape == (16, 16)
    with pytest.raises(UserError, match="--tile 8: how far this network sees is not known"):
        baselines.network(model, 8)(hu)


def test_a_shortage_of_memory_names_the_half_of_the_tile():
    with pytest.raises(UserError, match=r"out of memory .* take --tile 64"), tiles.told(128):
        raise MemoryError
