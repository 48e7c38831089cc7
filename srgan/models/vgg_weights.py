"""Where the weights of VGG19 come from: a file, the Keras cache, a download, or random numbers."""

import hashlib
import logging
import os
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from srgan.system import surroundings
from srgan.system.errors import UserError, reason
from srgan.system.files import read_bounded

log = logging.getLogger(__name__)

NAME = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg19/{NAME}"
MD5 = "253f8cb515780f3b799900260a226db6"
TIMEOUT_S = 10  # without progress
MOST_BYTES = 256 << 20  # the file has 80 MB


@dataclass(frozen=True)
class VggWeights:
    """mode: imagenet, random, none or file. path: with imagenet and file."""

    mode: str
    path: Path | None = None

    @cached_property
    def sha256(self) -> str | None:
        """Of a file that --vgg-weights names: a run resumes with the same file only.

        Raises UserError.
        """
        if self.mode != "file":
            return None
        try:
            return hashlib.sha256(read_bounded(self.path, MOST_BYTES)).hexdigest()
        except OSError as error:
            raise UserError(f"--vgg-weights {self.path}: {reason(error)}") from error


def keras_folder() -> Path:
    """Of Keras' downloads. For a user without a home: a folder that nobody can make."""
    home = surroundings.home() or Path(surroundings.NOWHERE)
    return Path(os.environ.get("KERAS_HOME") or home / ".keras") / "models"


def find(wanted: str) -> VggWeights:
    """The weights that `--vgg-weights` asks for.

    auto falls back to random weights, with a warning. Raises UserError where imagenet or a file is
    not there.
    """
    if wanted in ("random", "none"):
        return VggWeights(wanted)
    if wanted not in ("auto", "imagenet"):
        return VggWeights("file", _given(Path(wanted)))
    path = keras_folder() / NAME
    try:
        if not path.exists():
            log.info(f"fetching VGG19's ImageNet weights (80 MB) to {path}")
            _fetch(path)
        _check(path)
        return VggWeights("imagenet", path)
    except (OSError, ValueError) as error:
        if wanted == "imagenet":
            raise UserError(
                f"--vgg-weights imagenet: {error}. Put {URL} at {path} (md5 {MD5})"
            ) from error
        log.warning(
            f"NO IMAGENET WEIGHTS ({error}): the content loss uses seeded RANDOM VGG19 features"
        )
        return VggWeights("random")


def find_trained(wanted: str, insist: bool) -> VggWeights:
    """Trained weights for the VGG distance: mode imagenet or file, else none.

    auto takes the ImageNet weights if they are on the disk; with `insist` they are downloaded.
    Raises UserError as `find` does.
    """
    if wanted != "auto":
        found = find(wanted)
        return found if found.path else VggWeights("none")
    try:
        here = insist or os.path.exists(keras_folder() / NAME)  # False where it cannot be read
        return find("imagenet") if here else VggWeights("none")
    except UserError as error:
        log.warning(str(error))
        return VggWeights("none")


def _given(path: Path) -> Path:
    if not path.is_file():
        raise UserError(
            f"--vgg-weights {path}: no such file. It takes auto, imagenet, random, none or the "
            f"path of a VGG19 .h5 without top"
        )
    return path


def _check(path: Path) -> None:
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if digest != MD5:
        raise ValueError(f"{path} has md5 {digest}, not {MD5}; it was left alone")


def _fetch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with urllib.request.urlopen(URL, timeout=TIMEOUT_S) as source, open(part, "wb") as target:
            while block := source.read(1 << 20):
                target.write(block)
        _check(part)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
