import numpy as np
import pytest

from srgan.hounsfield import hu_to_network, network_to_hu
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.lowdose.noise_cache import SliceNoise
from srgan.lowdose.projection_noise import ProjectionNoise, Scanner, dose_weights
from srgan.training import batches
from tests.helpers.resident import resident_bytes_of_files

NOISE = Degradation(ImageNoise(Levels((500.0, 5000.0), True), Levels((0.002, 0.01), True)), 4)


@pytest.fixture
def slices():
    rng = np.random.default_rng(3)
    return batches.SliceSet(list(rng.integers(-900, 900, (3, 128, 96)).astype(np.int16)))


def test_batch_is_a_pure_function_of_seed_and_k(slices):
    first = batches.batch(slices, 4, 64, NOISE, 7, 123)
    again = batches.batch(slices, 4, 64, NOISE, 7, 123)
    for a, b in zip(first, again, strict=True):
        assert a.tobytes() == b.tobytes()
    for seed, k, stream in ((7, 124, 0), (8, 123, 0), (7, 123, 1)):
        assert (
            batches.batch(slices, 4, 64, NOISE, seed, k, stream)[0].tobytes() != first[0].tobytes()
        )


def test_batch_has_the_shapes_dtype_and_range_of_the_networks(slices):
    low, normal = batches.batch(slices, 5, 64, NOISE, 0, 0)
    assert low.shape == (5, 16, 16, 1)
    assert normal.shape == (5, 64, 64, 1)
    for x in (low, normal):
        assert x.dtype == np.float32
        assert np.abs(x).max() <= 1.0


def test_batch_low_dose_is_the_noisy_area_mean_of_the_normal_dose(slices):
    low, normal = (network_to_hu(x[..., 0]) for x in batches.batch(slices, 16, 64, NOISE, 0, 5))
    mean = normal.reshape(16, 16, 4, 16, 4).mean((2, 4))
    error = low - mean
    assert 2.0 < error.std() < 40.0
    assert abs(error.mean()) < 2.0


def test_batch_normal_dose_is_a_patch_of_a_slice(slices):
    _, normal = batches.batch(batches.SliceSet(slices.hu[:1]), 6, 64, NOISE, 1, 0)
    whole = {tuple(np.sort(row)) for row in _all_rows(slices.hu[0])}
    for patch in np.rint(network_to_hu(normal[..., 0])).astype(np.int16):
        assert tuple(np.sort(patch[0])) in whole or tuple(np.sort(patch[:, 0])) in whole


def _all_rows(hu):
    for image in (hu, hu.T):
        for row in image:
            for start in range(len(row) - 63):
                yield row[start : start + 64]


def test_patches_lie_mostly_in_the_body():
    hu = np.full((512, 512), -1000, np.int16)
    hu[200:330, 150:360] = 40
    _, normal = batches.batch(batches.SliceSet([hu]), 64, 64, NOISE, 0, 0)
    inside = (network_to_hu(normal) > -500).mean((1, 2, 3))
    assert (inside > 0.3).mean() > 0.4  # at random it would be under a tenth


def test_patches_are_turned_and_flipped_in_all_eight_ways():
    hu = np.arange(64 * 64, dtype=np.int16).reshape(64, 64)
    wanted = {np.rot90(way, k).tobytes() for way in (hu, hu[:, ::-1]) for k in range(4)}
    cuts = [batches.patch_of(hu, 64, np.random.default_rng(seed)) for seed in range(64)]
    assert {cut(hu).tobytes() for cut in cuts} == wanted


def test_memory_does_not_grow_with_the_slices_that_batches_are_cut_from(tmp_path):
    """The pages of a store that were read count as memory of the process until it gives them up."""
    np.save(tmp_path / "slices.npy", np.zeros((64, 512, 512), np.int16))
    array = np.load(tmp_path / "slices.npy", mmap_mode="r")
    for k, _ in enumerate(batches.dataset(batches.SliceSet(list(array)), 16, 64, NOISE, 0, 0, 40)):
        if k == 0:
            before = resident_bytes_of_files()  # with the code of TensorFlow
    assert resident_bytes_of_files() - before < 0.25 * array.nbytes


def test_batch_takes_a_slice_of_exactly_the_crop_size():
    hu = np.zeros((64, 64), np.int16)
    _, normal = batches.batch(batches.SliceSet([hu]), 2, 64, NOISE, 0, 0)
    assert np.all(normal == np.float32(hu_to_network(np.float32(0))))


def test_dataset_gives_the_same_batches_in_order_with_static_shapes(slices):
    data = batches.dataset(slices, 4, 64, NOISE, 9, 10, 16)
    assert [tuple(s.shape) for s in data.element_spec] == [(4, 16, 16, 1), (4, 64, 64, 1)]
    seen = list(data.as_numpy_iterator())
    assert len(seen) == 6
    for k, (low, normal) in enumerate(seen, 10):
        wanted = batches.batch(slices, 4, 64, NOISE, 9, k)
        assert low.tobytes() == wanted[0].tobytes()
        assert normal.tobytes() == wanted[1].tobytes()


# ---- noise in the projections ----

DOSES = Degradation(ProjectionNoise(Levels((0.1, 0.5), True), 1e5, None, Scanner()), 4)


@pytest.fixture
def noisy_slices():
    """Two slices with noise of 10 HU (quantum) and 1 HU (electronic) at full dose."""
    rng = np.random.default_rng(0)
    scales = np.array([[10 / 1000, 1 / 1000]] * 2, np.float32)
    stored = np.rint(rng.normal(0, 1000, (2, 2, 2, 96, 96))).astype(np.int16)
    noise = [SliceNoise(stored[i], scales, 1e5, 10.0, 0.0) for i in range(2)]
    return batches.SliceSet([np.full((96, 96), hu, np.int16) for hu in (40, -800)], noise)


def test_batch_with_projection_noise_is_a_pure_function_too(noisy_slices):
    first, again, other = (batches.batch(noisy_slices, 4, 64, DOSES, 7, k) for k in (3, 3, 4))
    assert first[0].tobytes() == again[0].tobytes()
    assert first[0].tobytes() != other[0].tobytes()
    assert first[0].shape == (4, 16, 16, 1)
    assert first[0].dtype == np.float32


@pytest.mark.parametrize("dose", [0.1, 0.25, 1.0])
def test_batch_scales_the_noise_to_the_dose(noisy_slices, dose):
    fixed = Degradation(ProjectionNoise(Levels((dose,)), 1e5, None, Scanner()), 1)
    low, normal = batches.batch(noisy_slices, 16, 64, fixed, 0, 0)
    quantum, electronic = dose_weights(dose)
    wanted = np.hypot(10 * quantum, 1 * electronic)
    error = network_to_hu(low.astype(np.float64)) - network_to_hu(normal.astype(np.float64))
    assert abs(error.std() - wanted) < 0.03 * wanted + 1e-3


def test_batch_samples_a_dose_for_each_patch(noisy_slices):
    one = Degradation(ProjectionNoise(Levels((0.05, 1.0), True), 1e5, None, Scanner()), 1)
    low, normal = batches.batch(noisy_slices, 64, 64, one, 0, 0)
    noise = (network_to_hu(low) - network_to_hu(normal)).std((1, 2, 3))
    assert noise.max() > 3 * noise.min()


def test_batch_adds_noise_to_the_pixels_that_it_was_made_for():
    """A slice and its noise are cut, turned and flipped alike."""
    hu = np.random.default_rng(1).integers(-900, 900, (96, 128)).astype(np.int16)
    own = SliceNoise(np.stack([hu, 0 * hu])[None], np.ones((1, 2), np.float32), 1e5, None, 0.0)
    half = Degradation(ProjectionNoise(Levels((0.5,)), 1e5, None, Scanner()), 1)
    low, normal = (
        network_to_hu(x) for x in batches.batch(batches.SliceSet([hu], [own]), 32, 64, half, 0, 0)
    )
    sums = {
        round(float(np.corrcoef(a.ravel(), (b - a).ravel())[0, 1]))
        for a, b in zip(normal, low, strict=True)
    }
    assert sums == {-1, 1}  # the noise is the slice itself, with either sign
