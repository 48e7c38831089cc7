"""--compare: more checkpoints judged beside the main one, each under a letter.

A is the main one, whose rows are called "srresnet" and "srgan"; those of B are "srresnet B" and
"srgan B". A report has the letters alone: a folder's path may tell more than it should.
"""

import logging
import os
from pathlib import Path
from string import ascii_uppercase

from srgan.report import about
from srgan.settings import Settings
from srgan.system.errors import UserError
from srgan.training import checkpoint_models
from srgan.training.checkpoint_models import Trained

log = logging.getLogger(__name__)

MAIN = "A"


def load(main: Trained, settings: Settings) -> dict[str, Trained]:
    """Letter to checkpoint, the main one first; a line says which letter is which folder.

    Raises UserError where a folder holds no whole model, is named twice, or has another scale.
    """
    every, folders = {MAIN: main}, {os.path.realpath(settings.checkpoint_dir): MAIN}
    for letter, folder in zip(ascii_uppercase[1:], settings.compare or (), strict=False):
        same = folders.setdefault(os.path.realpath(folder), letter)
        if same != letter:
            raise UserError(f"--compare {folder} is checkpoint {same} already: name a folder once")
        every[letter] = _load(folder, settings.scale)
    if len(every) > 1:
        for letter, folder in zip(every, (settings.checkpoint_dir, *settings.compare), strict=True):
            log.info(f"{letter} is {folder}: {about.checkpoint_remark(said_of(every[letter]))}")
    return every


def _load(folder: Path, scale: int) -> Trained:
    trained = checkpoint_models.load(folder, "--compare")
    try:
        theirs = trained.settings["scale"]
    except UserError as error:  # made by another version
        raise UserError(f"--compare {folder}: {error}") from error
    if theirs != scale:
        raise UserError(
            f"--compare {folder} enlarges {theirs} times and the main checkpoint {scale} times: "
            f"name a checkpoint of --scale {scale}"
        )
    return trained


def row_name(letter: str, model: str) -> str:
    """ "srgan" of A, "srgan B" of B."""
    return model if letter == MAIN else f"{model} {letter}"


def said_of(trained: Trained) -> dict:
    """How a checkpoint was made, as JSON values for a report: no path, no patient."""
    settings = Settings(**trained.settings)
    return {
        "step": trained.manifest.step,
        "vgg_weights": trained.manifest.vgg_weights,
        "generator": settings.generator,
        "content_loss": settings.content_loss,
        "degradation": trained.manifest.degradation,
        "synthetic": trained.manifest.data.synthetic,
        "warnings": list(trained.warnings),
    }


def record(every: dict[str, Trained]) -> dict:
    """What a report says of the checkpoints: about.About.checkpoint."""
    main, *others = [said_of(trained) for trained in every.values()]
    models = {
        row_name(letter, name): digest
        for letter, trained in every.items()
        for name, digest in trained.sha256.items()
    }
    compared = dict(zip(list(every)[1:], others, strict=True))
    return {**main, "models": models, **({"compared": compared} if compared else {})}
