"""States to continue from: `step-0001200/` in the checkpoint folder, and which of them is the last.

The last three of an event are kept, and one between events, where a signal came. `newest.json`
names the last that was saved, so that it is missed where it is gone.
"""

import errno
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from srgan import __version__
from srgan.system.errors import UserError
from srgan.system.files import read_bounded, write_json, writing
from srgan.training import sealed
from srgan.training.checkpoint_models import folders, newest_whole, set_aside, step_of
from srgan.training.manifest import MODELS
from srgan.training.plan import Plan

log = logging.getLogger(__name__)

KEEP = 3  # states of an event
NEWEST = "newest.json"
_ERRNO = {
    "ResourceExhaustedError": errno.ENOSPC,
    "OutOfRangeError": errno.EFBIG,
    "PermissionDeniedError": errno.EACCES,
    "NotFoundError": errno.ENOENT,
}  # TensorFlow's names for what the system said


def save(folder: Path, step: int, state: dict, manifest: dict) -> None:
    """Everything that training continues from. Raises UserError (no space, read-only).

    A state between two events, which a signal left, goes when the next state is saved.
    """
    import tensorflow as tf

    def write(part: Path) -> None:
        try:
            tf.train.Checkpoint(**state).write(str(part / "state"))
        except tf.errors.OpError as error:
            number = _ERRNO.get(type(error).__name__, errno.EIO)
            raise OSError(number, error.message.rsplit("; ", 1)[-1]) from error

    sealed.write(folder / f"step-{step:07}", write, manifest)
    _name_newest(folder, step)
    plan = Plan(**manifest["plan"])
    states = [p for p in folders(folder, "step") if sealed.is_ours(p)]
    kept = [p for p in states if plan.is_event(step_of(p))][-KEEP:]
    for old in states:
        if old not in kept and step_of(old) != step:
            sealed.remove(old)


def _name_newest(folder: Path, step: int) -> None:
    """After a state is saved, before one is moved away: what is named and gone was lost."""
    with writing(folder / NEWEST):
        write_json(folder / NEWEST, {"format": 1, "state": f"step-{step:07}"})


def _missing(folder: Path, states: Sequence[Path]) -> Path | None:
    """The last state that was saved, where none of the states is as new."""
    try:
        named = folder / json.loads(read_bounded(folder / NEWEST, 1000))["state"]
        is_gone = not states or step_of(named) > step_of(states[-1])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        log.warning(f"{folder / NEWEST} is damaged: a state that is missing is not noticed")
        return None
    return named if is_gone else None


def newest(
    folder: Path, serves: Callable[[int], bool] = lambda step: True
) -> tuple[Path, dict] | None:
    """The newest whole state and its manifest; None where there is nothing at all.

    serves: may a state of this step be used? One that is missing or corrupt is named, and the one
    before is used; a corrupt one is set aside. Raises UserError where none is left, or another
    version wrote one.
    """
    states = folders(folder, "step")
    gone = _missing(folder, states)
    found, faults = newest_whole([p for p in states if serves(step_of(p))])
    corrupt = [path.name for path in faults if sealed.is_ours(path)]
    said = [f"{gone} is missing"] * bool(gone) + [str(fault) for fault in faults.values()]
    if found is None and said:
        raise UserError(
            f"{said[0]}, and no state is left; --fresh sets the run aside and starts anew"
        )
    if not states and folders(folder, *MODELS):
        raise UserError(
            f"{folder} holds models and no state to continue from; --fresh sets them aside and "
            f"starts anew, or name another --checkpoint-dir"
        )
    for fault in said:
        log.warning(f"{fault}: the one before it is used")
    if said:
        _name_newest(folder, step_of(found[0]))
    if corrupt:
        log.info(f"what cannot be used now lies in {set_aside(folder, corrupt)}")
    if found and found[1]["version"] != __version__:
        log.info(f"{found[0]} was written by version {found[1]['version']}; this is {__version__}")
    return found


def set_later_aside(folder: Path, step: int) -> None:
    """A run goes on from `step`: what it kept after that would be taken for its newest."""
    kept = folders(folder, "step", *MODELS)
    later = [path.name for path in kept if step_of(path) > step and sealed.is_ours(path)]
    if later:
        _name_newest(folder, step)
        aside = set_aside(folder, later)
        log.info(f"kept after step {step}, now in {aside}: {', '.join(later)}")


def restore(path: Path, state: dict) -> None:
    """Raises UserError where an object or a value of the file has no match in the other."""
    import tensorflow as tf

    try:
        status = tf.train.Checkpoint(**state).read(str(path / "state"))
        status.assert_consumed()
    except (AssertionError, tf.errors.OpError, ValueError) as error:
        raise UserError(f"{path} does not fit these networks: {error}") from error
