"""States to resume from: `step-0001200/` in the checkpoint folder.

The last three states of events are kept, and one between events, which a signal left.
`newest.json` names the state that was saved last, so that a state that is lost is noticed.
`extended.json` holds the new manifest of the state from which a run was extended: that state itself
is not written again, so it cannot be lost.
"""

import dataclasses
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from srgan import __version__
from srgan.system import folders, memory
from srgan.system.checksums import read_sealed_json, write_sealed_json
from srgan.system.errors import UserError
from srgan.system.files import named_in_utf8, read_bounded, write_json, writing
from srgan.training import sealed
from srgan.training.checkpoint_folder import Saved, newest_whole, saved_in, set_aside, step_of
from srgan.training.manifest import MODELS, Manifest

log = logging.getLogger(__name__)

KEEP = 3  # states of events
NEWEST = "newest.json"
EXTENDED = "extended.json"


def save(folder: Path, variables: dict, manifest: Manifest) -> None:
    """Save the state of the manifest's step and remove those that are no longer needed.

    variables: what tf.train.Checkpoint takes. Raises UserError (no space, read-only).
    """
    step = manifest.step
    write(folder / f"step-{step:07}", variables, manifest.as_dict())
    _name_newest(folder, step)
    states = [p for p in saved_in(folder, "step") if sealed.is_ours(p)]
    kept = [p for p in states if manifest.plan.is_event(step_of(p))][-KEEP:]
    for old in states:
        if old not in kept and step_of(old) != step:
            sealed.remove(old)


def write(path: Path, variables: dict, manifest: dict) -> None:
    """Write one state. Raises UserError (no space, read-only)."""
    import tensorflow as tf

    from srgan.models.file_errors import as_os_errors

    def fill(part: Path) -> None:
        with as_os_errors(), named_in_utf8(part) as named:
            tf.train.Checkpoint(**variables).write(str(named / "state"))

    sealed.write(path, fill, manifest)


def extend(folder: Path, manifest: Manifest) -> None:
    """Give the state of the manifest's step this manifest. Raises UserError (no space)."""
    with writing(folder / EXTENDED):
        write_sealed_json(folder / EXTENDED, {"format": sealed.FORMAT, **manifest.as_dict()})


def as_extended(saved: Saved) -> Saved:
    """The state with the manifest that `extend` gave it, if it is the one that got one."""
    path = saved.path.parent / EXTENDED
    try:
        content = read_sealed_json(path, sealed.MOST_OF_MANIFEST)
        if content["format"] != sealed.FORMAT:
            raise ValueError(f"its format is {content['format']}")
        manifest = Manifest.from_dict(content)
    except FileNotFoundError:
        return saved
    except folders.DAMAGES as error:
        log.warning(f"{path} is damaged ({folders.fault(error)}): the plan of the state is used")
        return saved
    of = manifest.step, manifest.data
    if of != (saved.manifest.step, saved.manifest.data):
        return saved
    return dataclasses.replace(saved, manifest=manifest)


def holds_discriminator(path: Path) -> bool:
    """Does a state hold one? That of a run without a GAN stage does not."""
    import tensorflow as tf

    try:
        with named_in_utf8(path) as named:
            names = [name for name, _ in tf.train.list_variables(str(named / "state"))]
    except (tf.errors.OpError, ValueError) as error:
        if memory.is_shortage(error):
            raise
        raise UserError(f"{path} cannot be read: {error}") from error
    return any(name.startswith("discriminator") for name in names)


def restore_average(path: Path, model) -> None:
    """Read the averaged generator of a state. Raises UserError where it does not fit."""
    import tensorflow as tf

    try:
        with named_in_utf8(path) as named:
            status = tf.train.Checkpoint(average=model).read(str(named / "state"))
            status.assert_existing_objects_matched().expect_partial()
    except (AssertionError, tf.errors.OpError, ValueError) as error:
        if memory.is_shortage(error):
            raise
        raise UserError(f"{path} does not fit this network: {error}") from error


def restore(path: Path, variables: dict) -> None:
    """Read a state back. Raises UserError where file and variables do not match one to one."""
    import tensorflow as tf

    try:
        with named_in_utf8(path) as named:
            status = tf.train.Checkpoint(**variables).read(str(named / "state"))
            status.assert_consumed()
    except (AssertionError, tf.errors.OpError, ValueError) as error:
        if memory.is_shortage(error):
            raise
        raise UserError(f"{path} does not fit these networks: {error}") from error


def newest(folder: Path, serves: Callable[[int], bool] = lambda step: True) -> Saved | None:
    """The newest whole state; None where the folder holds no checkpoint at all.

    serves: may the state of this step be used? States that are missing or corrupt are reported, and
    the state before them is used; corrupt ones are set aside. Raises UserError where none is left,
    or another version wrote one.
    """
    states = saved_in(folder, "step")
    missing = _missing(folder, states)
    found, faults = newest_whole([p for p in states if serves(step_of(p))])
    corrupt = [path.name for path in faults if sealed.is_ours(path)]
    problems = [f"{missing} is missing"] * bool(missing) + [str(f) for f in faults.values()]
    if found is None and problems:
        raise UserError(
            f"{problems[0]}, and no state is left; --fresh sets the run aside and starts anew"
        )
    if not states and saved_in(folder, *MODELS):
        raise UserError(
            f"{folder} holds models and no state to resume from; --fresh sets them aside and "
            f"starts anew, or name another --checkpoint-dir"
        )
    for problem in problems:
        log.warning(f"{problem}: the one before it is used")
    if problems:
        _name_newest(folder, step_of(found.path))
    if corrupt:
        log.info(f"corrupt states now lie in {set_aside(folder, corrupt)}")
    if found and found.manifest.version != __version__:
        version = found.manifest.version
        log.info(f"{found.path} was written by version {version}; this is {__version__}")
    return found and as_extended(found)


def set_later_aside(folder: Path, step: int) -> None:
    """Move models and states after `step` away: the run goes on from there and writes its own."""
    saved = saved_in(folder, "step", *MODELS)
    later = [path.name for path in saved if step_of(path) > step and sealed.is_ours(path)]
    if later:
        _name_newest(folder, step)
        aside = set_aside(folder, later)
        log.info(f"saved after step {step}, now in {aside}: {', '.join(later)}")


def _name_newest(folder: Path, step: int) -> None:
    """Called after a state is saved and before one is moved away."""
    with writing(folder / NEWEST):
        write_json(folder / NEWEST, {"format": 1, "state": f"step-{step:07}"})


def _missing(folder: Path, states: Sequence[Path]) -> Path | None:
    """The state that was saved last, if all that are left are older."""
    try:
        named = folder / json.loads(read_bounded(folder / NEWEST, 1000))["state"]
        is_missing = not states or step_of(named) > step_of(states[-1])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        log.warning(f"{folder / NEWEST} is damaged: a state that is missing is not noticed")
        return None
    return named if is_missing else None
