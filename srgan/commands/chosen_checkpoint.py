"""The checkpoint of test, enhance and export: a folder of the user, or the shipped weights.

One rule: the folder that --checkpoint-dir names, `shipped` being the shipped weights. Without it,
checkpoint/ where a training wrote there, else the shipped weights. --scale chooses among these.
"""

import logging
from pathlib import Path
from typing import Any

from srgan.settings import Settings
from srgan.system.errors import UserError
from srgan.training import checkpoint_folder, checkpoint_models, shipped_weights
from srgan.training.checkpoint_models import Trained

log = logging.getLogger(__name__)


def load(
    given: dict[str, Any], scale: int = shipped_weights.SCALE
) -> tuple[Trained, dict[str, Any]]:
    """The checkpoint, and the given settings with a --checkpoint-dir that names it.

    scale: of the shipped weights, without --scale. Raises UserError where there is none, or its
    scale is not that of --scale.
    """
    folder, is_default = Settings(**given).checkpoint_dir, "checkpoint_dir" not in given
    why = ""
    if is_default and not checkpoint_folder.saved_in(folder, "step", "srresnet", "srgan"):
        why = f"no trained model in {folder}: "
        folder = Path(shipped_weights.NAME)
    if shipped_weights.is_meant(folder):
        trained = shipped_weights.load(given.get("scale", scale))
        log.info(f"{why}uses {shipped_weights.described(trained)}")
    else:
        trained = checkpoint_models.load(folder)
        _check_scale(given, folder, trained)
    return trained, {**given, "checkpoint_dir": folder}


def _check_scale(given: dict[str, Any], folder: Path, trained: Trained) -> None:
    if "scale" in given and given["scale"] != trained.settings["scale"]:
        raise UserError(
            f"--scale {given['scale']} chooses among the shipped weights, and the networks in "
            f"{folder} have scale {trained.settings['scale']}: leave it out, or add "
            f"--checkpoint-dir {shipped_weights.NAME}"
        )
