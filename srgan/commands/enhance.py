"""--run enhance: one low-dose scan through a trained network, and the result as a new scan."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import srgan
from srgan import settings as all_settings
from srgan.commands import chosen_checkpoint, scan_report
from srgan.enhancement import slice_function
from srgan.enhancement.slice_function import Use
from srgan.enhancement.watch import Watch
from srgan.formats.derived import Derived
from srgan.formats.scan import OWN_MODEL, Scan, Skipped
from srgan.models import tensorflow_setup
from srgan.system import signals
from srgan.system.errors import plural
from srgan.system.files import write_json, writing
from srgan.system.progress import progress
from srgan.training import model_card, shipped_weights, strength
from srgan.training.checkpoint_models import Trained
from srgan.whole_scans import copy_scan, single_scan
from srgan.whole_scans.copy_scan import Copy

log = logging.getLogger(__name__)

FORMAT = 1


def enhance(given: dict[str, Any]) -> int:
    """Run the command; returns the exit code. Raises UserError."""
    settings = all_settings.make(given)
    copy_scan.check_paths(settings.input, settings.output, "enhance")
    keeps_size = settings.input_kind is None
    trained, _ = chosen_checkpoint.load(given, 1 if keeps_size else shipped_weights.SCALE)
    with signals.caught():
        scan, skipped = single_scan.find(settings.input, settings.series, simulated_too=True)
        if skipped:
            log.info(single_scan.counted(skipped))
        shape = scan.rows, scan.columns
        use = slice_function.use_of(
            trained.settings["scale"], shape, settings.input_kind, ensemble=settings.ensemble
        )
        print(use.sentence(scan), flush=True)
        share = strength.checked(trained, settings.strength)
        degradation = all_settings.degradation_of(all_settings.make({}, trained.settings))
        how = how_made(trained, share, use)
        derived = Derived(_description(scan, share, use), use.enlargement, use.scale > 1)
        with copy_scan.begun(scan, derived, settings.output, settings.format) as copy:
            policy = tensorflow_setup.start(settings.precision)
            log.info(tensorflow_setup.described(settings.precision, policy))
            network = strength.network(trained, share)
            function = slice_function.of_network(network, use, settings.tile)
            watch = Watch(len(scan.slices), use, degradation)
            left = _copy(copy, function, watch, how)
            trust = watch.trust(scan, trained.manifest.noise_range, trained.has_seen)
            network = strength.method_name(share), strength.weights_of(trained, share)
            told = scan_report.tell(
                trust, settings.report_dir, *network, degradation, ensemble=use.ensemble
            )
            with writing(settings.output):
                copy.target.finish(how)
                about = _about(trained, share, use, scan, left)
                write_json(copy.part / "enhanced.json", {**about, "trust": told})
                scan_report.write_preview(copy.part, watch, scan, _models(trained, share))
    if left:
        log.info(copy_scan.skipped_line(copy, left))
    n = len(scan.slices) - (0 if copy.is_whole else len(left))
    print(f"{settings.output} holds {plural(n, 'slice')} of {use.size_text(scan)}")
    return 0


def _copy(
    copy: Copy, function: Callable[[np.ndarray], np.ndarray], watch: Watch, how: str
) -> list[Skipped]:
    """Write every slice; returns those that could not be used. Raises UserError if most cannot."""
    n = len(copy.scan.slices)

    def watched(index: int, hu: np.ndarray) -> np.ndarray:
        new = function(hu)
        watch.see(index, hu, new)
        return new

    made = copy_scan.streamed(copy, watched, how)
    left = [skip for skip in progress(made, n, "slices") if skip]
    copy_scan.check_usable(left, n)
    return left


# ---- records ----


def _models(trained: Trained, share: float) -> str:
    """ "srgan-0001800"; of a mixture "srresnet-0001200 and srgan-0001800 at strength 0.5"."""
    names = " and ".join(trained.models[name].name for name in strength.models_of(share))
    return f"{names} at strength {share:g}" if 0 < share < 1 else names


def _weights(trained: Trained, share: float) -> str:
    """The SHA-256 of the weights; of a mixture those of both."""
    return " and ".join(strength.weights_of(trained, share).values())


def _description(scan: Scan, share: float, use: Use) -> str:
    """SeriesDescription: that of the source, cut, and that a network made it."""
    first, *between = strength.method_name(share).split(" ")  # "srgan 0.5"
    title = " ".join([model_card.TITLES[first], *between])
    made = f"{title} x{use.scale}{' ensemble' if use.ensemble else ''}, made by a network"
    before = scan.description.encode("ascii", "ignore").decode().strip()
    room = 64 - len(made) - 2
    return f"{before[:room]}: {made}" if before else made


def how_made(trained: Trained, share: float, use: Use) -> str:
    """What was done, with the model and how it was trained."""
    noise = all_settings.degradation_of(all_settings.make({}, trained.settings)).noise
    return (
        f"{OWN_MODEL} {srgan.__version__}: DERIVED by a network; model "
        f"{_models(trained, share)}, weights SHA-256 {_weights(trained, share)}; "
        f"scale {use.scale}, input {use.kind}{use.passes_text}; trained for: {noise.describe()}"
    )


def _about(
    trained: Trained, share: float, use: Use, scan: Scan, left: Sequence[Skipped]
) -> dict[str, Any]:
    """The content of enhanced.json; it names no patient and no path."""
    return {
        "format": FORMAT,
        "program": OWN_MODEL,
        "version": srgan.__version__,
        "model": _models(trained, share),
        "weights_sha256": _weights(trained, share),
        "strength": share,
        "ensemble": use.ensemble,
        "scale": use.scale,
        "input_kind": use.kind,
        "enlargement": use.enlargement,
        "slices": len(scan.slices),
        "skipped": [{"reason": skip.reason, "detail": skip.detail} for skip in left],
    }
