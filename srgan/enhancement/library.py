"""Use a trained network from Python: `srgan.load`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from srgan.evaluation import baselines
from srgan.hounsfield import HU_MAX, HU_MIN
from srgan.system import surroundings
from srgan.system.errors import UserError
from srgan.training import checkpoint_models


def load(
    checkpoint: str | Path = "checkpoint", model: str = "srgan"
) -> Callable[[np.ndarray], np.ndarray]:
    """A trained network as a function: a low-dose slice in HU to a normal-dose slice in HU.

        import numpy as np
        import srgan

        low_dose_hu = np.full((128, 128), -850.0)  # one axial slice, (rows, columns)
        enhance = srgan.load("checkpoint")  # or srgan.load("checkpoint", "srresnet")
        hu = enhance(low_dose_hu)  # float32, (4 * 128, 4 * 128) for a network of scale 4

    checkpoint: the folder that --run train wrote. model: "srgan" or "srresnet". The function takes
    (h, w) HU of any real dtype, with the pixel size and the noise that the network was trained for,
    and returns (scale*h, scale*w) float32 HU in [-1024, 3071]. It raises ValueError for another
    array. `load` raises srgan.system.errors.UserError where there is no such network.
    """
    folder = Path(checkpoint)
    trained = checkpoint_models.load(folder, "folder")
    if model not in trained.models:
        raise UserError(
            f"no model {model!r} in {folder}, which holds {', '.join(trained.models)}: name one of "
            f"these, or train on"
        )
    with surroundings.float32_keras():
        method = baselines.network(trained.network(model))

    def enhance(low_dose_hu: np.ndarray) -> np.ndarray:
        """(h, w) HU to (scale*h, scale*w) float32 HU. Raises ValueError for another array."""
        hu = np.asarray(low_dose_hu)
        if hu.ndim != 2 or hu.dtype.kind not in "fiu" or not np.isfinite(hu).all():
            raise ValueError(
                f"a slice is a 2-D array of finite HU, not {hu.dtype} of shape {hu.shape}"
            )
        with surroundings.float32_keras():  # the first call traces the network
            return method(np.clip(hu.astype(np.float32), HU_MIN, HU_MAX))

    return enhance
