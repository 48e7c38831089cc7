import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from srgan.dataset import build_store as stores
from srgan.lowdose import noise_cache, photon_cache, projection_noise
from srgan.lowdose.levels import Levels
from srgan.lowdose.projection_noise import ProjectionNoise, Scanner
from srgan.random_streams import FIELDS, generator_of, slice_number
from srgan.settings import dataset_paths, make
from srgan.system import processes
from srgan.system.errors import TRY_AGAIN, UserError

NOISE = ProjectionNoise(Levels((0.1, 0.5), True), 1e5, None, Scanner())


@pytest.fixture(scope="module")
def store(small_scans, tmp_path_factory):
    settings = make({"data": small_scans, "store_dir": tmp_path_factory.mktemp("store")})
    return stores.open_or_build(dataset_paths(settings))


@pytest.fixture
def built(store, monkeypatch, said):
    """Makes the noise of five slices in this process; `said` has the messages."""
    monkeypatch.setattr(processes, "cpus", lambda: 1)

    def build(noise=NOISE, seed=0, realisations=1):
        return noise_cache.open_or_build(store, range(5), noise, seed, realisations)

    yield SimpleNamespace(build=build, said=said, store=store)
    for path in store.folder.glob("*noise-*"):
        noise_cache.shutil.rmtree(path) if path.is_dir() else path.unlink()


def folder_of(built):
    (folder,) = built.store.folder.glob("noise-*")
    return folder


def test_cached_noise_at_any_dose_is_the_noise_of_its_seed(built):
    made = built.build(realisations=2)
    record = built.store.records[3]
    for r in range(2):
        rng = generator_of(0, FIELDS, slice_number(record.pixels_sha256), r)
        fields = projection_noise.noise_fields(
            built.store.hu(3), record.spacing_mm, 1e5, NOISE.scanner, 0.1, rng
        )
        for dose in (0.1, 0.25, 0.5):
            wanted = projection_noise.insert(np.zeros((96, 96), np.float32), fields, dose)
            weights = np.reshape(projection_noise.dose_weights(dose), (2, 1, 1))
            found = (weights * made[3].fields(r)).sum(0)
            np.testing.assert_allclose(found, wanted, atol=2e-4 * wanted.std())


def test_noise_is_made_once_by_several_processes_and_reused(store, said):
    first = noise_cache.open_or_build(store, range(3), NOISE, 7, 1)
    again = noise_cache.open_or_build(store, range(3), NOISE, 7, 1)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.stored, b.stored)
    assert "GB are free" in said[0]
    assert any("reused" in line for line in said)


def test_realisations_and_slices_are_independent(built):
    made = built.build(realisations=3)
    fields = np.array([cached.fields(r).reshape(2, -1) for cached in made for r in range(3)])
    matrix = np.corrcoef(fields.reshape(-1, 96 * 96))
    others = matrix[~np.eye(len(matrix), dtype=bool)]
    assert np.abs(others).max() < 0.1  # 96 x 96 pixels of correlated noise


def test_seed_lowest_dose_and_photons_are_in_the_key(built):
    built.build()
    before = len(list(built.store.folder.glob("noise-*")))
    for more, other in (
        (1, {"seed": 1}),
        (2, {"noise": replace(NOISE, dose=Levels((0.05, 0.5), True))}),
        (3, {"noise": replace(NOISE, photons=2e5)}),
        (4, {"noise": replace(NOISE, scanner=Scanner(views=90))}),
        (4, {"noise": replace(NOISE, dose=Levels((0.1, 0.3), True))}),  # the lowest dose is there
    ):
        built.build(**other)
        assert len(list(built.store.folder.glob("noise-*"))) == before + more


@pytest.mark.parametrize("damage", ["bit", "order", "index"])
def test_corrupt_noise_is_made_again_unchanged(built, damage):
    first = [cached.stored.copy() for cached in built.build()]
    (path,) = folder_of(built).glob("*.npy")
    index = folder_of(built) / "index.json"
    if damage == "bit":
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(content)
    elif damage == "order":  # of the bytes, in the header
        path.write_bytes(path.read_bytes().replace(b"<i2", b">i2", 1))
    else:
        index.write_text(index.read_text().replace('"floored": 0', '"floored": 1'))
    again = built.build()
    assert sum("is corrupt" in line for line in built.said) == 1
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b.stored)


def test_a_disk_without_room_is_reported_before_noise_is_made(built, monkeypatch):
    monkeypatch.setattr(
        noise_cache.shutil, "disk_usage", lambda path: SimpleNamespace(free=100_000)
    )
    with pytest.raises(UserError, match="GB are free in") as caught:
        built.build()
    assert caught.value.exit_code == TRY_AGAIN
    assert not list(built.store.folder.glob("*noise-*/"))


def test_readings_at_the_photon_floor_give_a_warning(built):
    built.build(noise=ProjectionNoise(Levels((0.001,)), 1e4, None, Scanner()))
    assert any("at the photon floor" in line for line in built.said)


def test_photons_are_estimated_once_and_again_if_their_file_is_damaged(built, monkeypatch):
    noise = ProjectionNoise(Levels((0.1,)), None, None, Scanner())
    first = photon_cache.of_slices(built.store, range(5), noise)
    (path,) = built.store.folder.glob("photons-*.json")
    kept = json.loads(path.read_text())
    assert len(kept["slices"]) == 5
    monkeypatch.setattr(photon_cache, "_estimate", lambda task: pytest.fail("estimated again"))
    assert photon_cache.of_slices(built.store, range(5), noise) == first
    monkeypatch.undo()
    monkeypatch.setattr(processes, "cpus", lambda: 1)
    whole = path.read_text()
    digits = str(next(iter(kept["slices"].values()))[0])
    for damaged in (whole[:-30], whole.replace(digits, "9" + digits[1:])):
        path.write_text(damaged)
        assert photon_cache.of_slices(built.store, range(5), noise) == first
        assert path.read_text() == whole
    path.unlink()


def test_given_photons_are_not_estimated(built):
    found = photon_cache.of_slices(built.store, range(3), NOISE)
    assert [m.photons for m in found] == [1e5] * 3
    assert photon_cache.summary(found) == {"median": 1e5, "low": 1e5, "high": 1e5, "sd_hu": None}
