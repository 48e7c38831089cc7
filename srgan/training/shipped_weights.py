"""The weights that ship with the program: in srgan/weights/, a checkpoint folder for each scale.

`--checkpoint-dir shipped`, `--init shipped` and `srgan.load()` name them. No run writes there.
"""

import os
from pathlib import Path

from srgan import settings as all_settings
from srgan.settings import Settings
from srgan.system.errors import UserError, plural
from srgan.training import checkpoint_folder, checkpoint_models
from srgan.training.checkpoint_models import Trained
from srgan.training.manifest import MODELS
from srgan.training.model_card import TITLES

NAME = "shipped"
FOLDER = Path(__file__).parents[1] / "weights"
SCALE = 4  # unless another is asked for


def folder(scale: int) -> Path:
    """Where the models of a scale lie."""
    return FOLDER / f"scale{scale}"


def is_meant(path: str | Path) -> bool:
    """Does a flag name them, and no folder?"""
    return os.fspath(path) == NAME


def load(scale: int | None = None) -> Trained:
    """Raises UserError where this scale has none, or a file of theirs is damaged."""
    scale = SCALE if scale is None else scale
    models = checkpoint_folder.saved_in(folder(scale), *MODELS)
    if not models:
        raise UserError(f"no weights of scale {scale} ship with this program{_others()}")
    try:
        for path in models:
            checkpoint_folder.read(path)
        return checkpoint_models.load(folder(scale))
    except UserError as error:
        raise UserError(
            f"the shipped weights cannot be used: {error}; install the program again, or name a "
            f"checkpoint folder of your own"
        ) from error


def _others() -> str:
    found = [s for s in (1, 2, 4) if checkpoint_folder.saved_in(folder(s), *MODELS)]
    if not found:
        return ": this copy of it has none"
    return f": it has those of scale {' and '.join(map(str, found))}"


def described(trained: Trained) -> str:
    """What they are, and what they were trained on."""
    settings, data = Settings(**trained.settings), trained.manifest.data
    names = " and ".join(TITLES[name] for name in MODELS if name in trained.models)
    kind = "synthetic patients" if data.synthetic else "patients"
    return (
        f"the shipped weights: {names} of scale {settings.scale}, trained on "
        f"{plural(data.slices.get('train', 0), 'slice')} ({data.patients} {kind}, those of "
        f"validation among them); {all_settings.degradation_of(settings).noise.describe()}"
    )


def refuse_to_write(path: Path, flag: str) -> None:
    """A run has a folder of its own. Raises UserError for theirs, and for their name."""
    if is_meant(path) or Path(os.path.realpath(path)).is_relative_to(os.path.realpath(FOLDER)):
        raise UserError(
            f"{flag} {path} means the weights that ship with this program, which no run changes: "
            f"name another folder"
        )
