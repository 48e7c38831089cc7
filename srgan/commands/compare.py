"""--compare: more checkpoints beside the main one, each under a letter.

A is the main checkpoint, with the rows "srresnet" and "srgan"; B has "srresnet B" and "srgan B".
The report has only the letters, because a folder's path may say more than it should.
"""

import logging
import os
from pathlib import Path
from string import ascii_uppercase

from srgan.report import about
from srgan.settings import Settings
from srgan.system.errors import UserError
from srgan.training import checkpoint_models, shipped_weights
from srgan.training.checkpoint_models import Trained

log = logging.getLogger(__name__)

MAIN = "A"


def load(main: Trained, settings: Settings) -> dict[str, Trained]:
    """Checkpoints by letter, the main one first; logs which letter is which folder.

    Raises UserError for a folder without a complete model, one that is named twice, and a
    checkpoint of another scale.
    """
    checkpoints, folders = {MAIN: main}, {os.path.realpath(settings.checkpoint_dir): MAIN}
    for letter, folder in zip(ascii_uppercase[1:], settings.compare or (), strict=False):
        same = folders.setdefault(os.path.realpath(folder), letter)
        if same != letter:
            raise UserError(f"--compare {folder} is checkpoint {same} already: name a folder once")
        checkpoints[letter] = _load(folder, settings.scale)
    if len(checkpoints) > 1:
        for letter, folder in zip(
            checkpoints, (settings.checkpoint_dir, *settings.compare), strict=True
        ):
            log.info(
                f"{letter} is {folder}: {about.checkpoint_remark(description(checkpoints[letter]))}"
            )
    return checkpoints


def _load(folder: Path, scale: int) -> Trained:
    if shipped_weights.is_meant(folder):
        trained = shipped_weights.load(scale)
        log.info(f"compares with {shipped_weights.described(trained)}")
        return trained
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


def description(trained: Trained) -> dict:
    """How a checkpoint was trained, as JSON values without paths and patients."""
    settings = Settings(**trained.settings)
    return {
        "step": trained.manifest.step,
        "vgg_weights": trained.manifest.vgg_weights,
        "generator": settings.generator,
        "content_loss": settings.content_loss,
        "degradation": trained.manifest.degradation,
        "synthetic": trained.manifest.data.synthetic,
        "warnings": list(trained.warnings),
        "extended": list(trained.extended),
        "origin": trained.manifest.origin.text() if trained.manifest.origin else None,
        "unfinished": trained.is_unfinished,
    }


def record(checkpoints: dict[str, Trained]) -> dict:
    """What a report says about the checkpoints: About.checkpoint."""
    main, *others = [description(trained) for trained in checkpoints.values()]
    models = {
        row_name(letter, name): digest
        for letter, trained in checkpoints.items()
        for name, digest in trained.sha256.items()
    }
    compared = dict(zip(list(checkpoints)[1:], others, strict=True))
    return {**main, "models": models, **({"compared": compared} if compared else {})}
