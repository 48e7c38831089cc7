"""Files of weights that name other files, or more than they hold."""

import h5py
import numpy as np
import pytest

from srgan.models import check_hdf5

DATA = np.arange(6.0)


def soft(file, outside):
    file["a"] = h5py.SoftLink("/weights")


def external_link(file, outside):
    file["a"] = h5py.ExternalLink(str(outside), "/weights")


def external_data(file, outside):
    file.create_dataset("a", (6,), "f8", external=[(str(outside), 0, 48)])


def virtual(file, outside):
    layout = h5py.VirtualLayout((6,), "f8")
    layout[:] = h5py.VirtualSource(str(outside), "weights", (6,))
    file.create_virtual_dataset("a", layout)


def bomb(file, outside):
    file.create_dataset("a", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")


def text(file, outside):
    file.create_dataset("a", data=["words"])


def kind(file, outside):
    file["a"] = np.dtype("f4")


@pytest.mark.parametrize("make", [soft, external_link, external_data, virtual, bomb, text, kind])
def test_check_refuses_all_but_plain_arrays_in_the_file_itself(tmp_path, make):
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file["weights"] = DATA
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["weights"] = DATA
        make(file.create_group("layer"), tmp_path / "outside.h5")
    with pytest.raises(ValueError, match=r"it holds|array of it"):
        check_hdf5.check(tmp_path / "w.h5", 1 << 20)


def test_check_accepts_plain_arrays_and_a_group_that_holds_itself(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["layer/vars/0"] = DATA
        file["layer/again"] = file["layer"]
    check_hdf5.check(tmp_path / "w.h5", DATA.nbytes)
    with pytest.raises(ValueError, match="more than"):
        check_hdf5.check(tmp_path / "w.h5", DATA.nbytes - 1)


def test_check_raises_oserror_for_a_file_that_is_no_hdf5(tmp_path):
    (tmp_path / "w.h5").write_bytes(b"no")
    with pytest.raises(OSError, match="file"):
        check_hdf5.check(tmp_path / "w.h5", 1)
