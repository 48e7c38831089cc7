"""How much memory a training takes, by stage, batch and crop, and which batch and crop fit.

Measured on a CPU in float32, where batch x crop^2 was 16, 32, 64 and 256 times 64^2, as the growth
of the address space, which is a little more than that of the memory in use. The figures below are
about a third above what was measured. On a GPU nothing is estimated: there TensorFlow says it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from srgan.settings import Settings
from srgan.system import memory
from srgan.system.errors import UserError
from srgan.system.memory import GB

STAGES = {"pretrain": "pre-training", "gan": "the GAN"}
TENSORFLOW = 2 * GB  # of address space, to start; it takes a quarter of that as memory
NETWORKS = {"pretrain": 0.1 * GB, "gan": 0.7 * GB}  # with optimizers, the GAN's with VGG19
ONCE = {"pretrain": 0.2 * GB, "gan": 0.4 * GB}  # of a stage, at any batch: its compiled step
GENERATOR = {"fast": 16e3, "paper": 60e3}  # bytes a pixel of its blocks' grid: the low dose's
LEAST_STEP = {"fast": 2, "paper": 1}  # of that grid, in pixels of the normal dose
CRITICS = 4e3  # bytes a pixel of the patch: the discriminator and VGG19
VALIDATION = 128 * 40  # bytes a pixel of one patch: all patches, several times
SMALLEST_CROP = 16


def need(settings: Settings, stage: str, batch: float, crop: int) -> float:
    """Bytes that the steps of a stage take, beside the networks, and its validation."""
    form = settings.generator
    pixel = GENERATOR[form] / max(settings.scale, LEAST_STEP[form]) ** 2
    pixel += CRITICS if stage == "gan" else 0.0
    return ONCE[stage] + crop**2 * (batch * pixel + VALIDATION)


def heaviest(settings: Settings) -> str:
    has_gan = settings.gan_steps != 0 and settings.gan_share > 0
    return "gan" if has_gan else "pretrain"


def check_start(settings: Settings) -> None:
    """Before TensorFlow starts, under ulimit -v: it may crash where it gets no address space."""
    for room in memory.rooms():
        wanted = TENSORFLOW + NETWORKS[heaviest(settings)]
        if room.of == memory.ULIMIT and room.free < wanted:
            where, what = "the start of the training", "TensorFlow with the networks"
            raise UserError(_refusal(where, what, wanted, room, remedy(settings, 0)))


def check(settings: Settings, stage: str, built: bool = True, machines: int = 1) -> None:
    """Before a stage begins on a CPU. Raises UserError where it needs more than there is.

    built: are the networks in memory already? Then ulimit -v is not asked: address space that was
    used before is used again. machines: among which a batch is divided.
    """
    import tensorflow as tf

    networks = 0.0 if built else NETWORKS[stage]
    wanted = networks + need(settings, stage, settings.batch_size / machines, settings.crop)
    if tf.config.list_physical_devices("GPU"):
        return
    for room in memory.rooms():
        if built and room.of == memory.ULIMIT:
            continue
        if wanted > room.free:
            text = f"--batch-size {settings.batch_size} at --crop {settings.crop}"
            fits = remedy(settings, 0.95 * room.free - networks, machines)
            line = _refusal(STAGES[stage], text, wanted, room, fits)
            raise UserError(line, room.exit_code(int(wanted)))


def _refusal(where: str, what: str, wanted: float, room: memory.Room, fits: str) -> str:
    return (
        f"out of memory in {where}: {what} takes about {wanted / GB:.1f} GB, {room.text()}: {fits}"
    )


def remedy(settings: Settings, free: float, machines: int = 1) -> str:
    """What to do: the largest batch (halved) and crop whose heaviest stage takes `free` bytes."""
    stage, batch, crop = heaviest(settings), settings.batch_size // 2, settings.crop
    while batch and need(settings, stage, batch / machines, crop) > free:
        batch //= 2
    smaller = (crop - 1) // SMALLEST_CROP * SMALLEST_CROP
    while smaller and need(settings, stage, settings.batch_size / machines, smaller) > free:
        smaller -= SMALLEST_CROP
    return _values(batch, smaller, need(settings, stage, 1, SMALLEST_CROP))


def _values(batch: int, crop: int, least: float) -> str:
    """What to take; 0 where none fits. least: bytes that the smallest of both take."""
    fits = [f"--batch-size {batch}"] * bool(batch)
    fits += [f"--crop {crop} (in a new run: --fresh)"] * bool(crop)
    if not fits:
        return (
            f"no --batch-size or --crop fits (--batch-size 1 --crop {SMALLEST_CROP} takes "
            f"{least / GB:.1f} GB beside TensorFlow): close other programs, or raise the limit"
        )
    return f"take {' or '.join(fits)}; what is trained already is kept"


@contextmanager
def told(settings: Settings, stage: str, where: str = "") -> Iterator[None]:
    """`memory.told` in the words of a training; what is named is half of what was tried."""

    def half() -> str:
        crop = int(settings.crop / 2**0.5) // SMALLEST_CROP * SMALLEST_CROP
        least = need(settings, stage, 1, SMALLEST_CROP)
        return _values(settings.batch_size // 2, crop, least)

    with memory.told(where or STAGES[stage], half):
        yield


def state_text(n_bytes: int, kept: int) -> str:
    """What is said of states above 1 GB before the first is saved; else ""."""
    if n_bytes < GB:
        return ""
    total = n_bytes * kept / GB
    return (
        f"each state takes {n_bytes / GB:.1f} GB on the disk, and {kept} are kept: {total:.0f} GB"
    )
