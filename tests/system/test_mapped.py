import numpy as np
import pytest

from srgan.system import mapped
from tests.helpers.resident import resident_bytes_of_files

N_BYTES = 16 << 20


@pytest.fixture
def array(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(N_BYTES // 8).reshape(-1, 1024))
    return np.load(tmp_path / "a.npy", mmap_mode="r")


def test_forgotten_pages_are_no_memory_of_the_process_and_are_read_again(array):
    before, total = resident_bytes_of_files(), array.sum()
    assert resident_bytes_of_files() - before > 0.9 * N_BYTES
    mapped.forget(mapped.files_of([array[3:5].T]))
    assert resident_bytes_of_files() - before < 0.1 * N_BYTES
    assert array.sum() == total


def test_files_are_found_once_and_arrays_in_memory_have_none(array):
    (file,) = mapped.files_of([np.zeros(3), array, array[2], array[:, ::-1].view()])
    assert bytes(file[:6]) == b"\x93NUMPY"
