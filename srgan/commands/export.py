"""--run export: a trained network for other programs, with a model card."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from srgan.commands import chosen_checkpoint
from srgan.export import card, onnx_file, report_metrics
from srgan.models import tensorflow_setup
from srgan.settings import Settings
from srgan.system import signals
from srgan.system.errors import UserError
from srgan.system.files import sync, writing
from srgan.training import strength
from srgan.training.checkpoint_models import Trained
from srgan.whole_scans.output_folder import new_folder

log = logging.getLogger(__name__)


def export(given: dict[str, Any]) -> int:
    """Run the command; returns the exit code. Raises UserError."""
    settings = Settings(**given)
    if settings.output is None or settings.format is None:
        raise UserError("--run export needs --format savedmodel, onnx or weights, and --output DIR")
    if settings.format == "onnx":
        onnx_file.check_installed()
    with signals.caught():
        trained, _ = chosen_checkpoint.load(given)
        share = strength.checked(trained, settings.strength)
        name = strength.method_name(share)
        shipped, test = card.of_shipped(trained, strength.models_of(share)[-1]) or (None, None)
        if test is None or 0 < share < 1:
            test = _test_metrics(settings.report_dir, name, strength.weights_of(trained, share))
        tensorflow_setup.start("float32")
        with new_folder(settings.output) as part, writing(settings.output):
            difference_hu = _export(part, trained, share, settings, test, shipped)
            for path in part.rglob("*"):
                sync(path)
    print(
        f"{settings.output} holds the network {name} as {settings.format}; "
        f"on made slices it differs from this program's network by at most {difference_hu:.2g} HU"
    )
    return 0


def _test_metrics(report: Path, name: str, sha256: dict[str, str]) -> dict | None:
    try:
        found = report_metrics.metrics_of(report, name, sha256)
    except ValueError as error:
        log.warning(f"{error}: the model card goes without it")
        return None
    if found is None:
        log.info(
            f"{report} holds no test of this network: the model card has no metrics of test "
            f"patients (--run test makes them, --report-dir names another report)"
        )
    return found


def _export(
    part: Path,
    trained: Trained,
    share: float,
    settings: Settings,
    test: dict | None,
    shipped: card.Shipped | None,
) -> float:
    """Fill the folder; returns the largest difference in HU. Raises OSError, UserError."""
    import tensorflow as tf

    from srgan.export import card_text, comparison

    tf.config.experimental.enable_tensor_float_32_execution(False)  # a GPU would round to 10 bits
    network = strength.network(trained, share)
    again = _write_and_load(part, network, trained, settings.format)
    difference_hu = comparison.largest_difference_hu(again, strength.network(trained, share))
    parameters = network.count_params()
    about = card.Exported(settings.format, share, trained, parameters, difference_hu, test, shipped)
    card.write(part, about)
    card_text.write(part, about)
    return difference_hu


def _write_and_load(
    part: Path, network, trained: Trained, format: str
) -> Callable[[np.ndarray], np.ndarray]:
    """Write the network, and read back what was written, as a function of a batch in HU."""
    from srgan.export import comparison, savedmodel, weights_file

    scale = trained.settings["scale"]
    if format == "savedmodel":
        savedmodel.write(part, network)
        return savedmodel.load(part)
    if format == "onnx":
        onnx_file.write(part, network, scale)
        return onnx_file.load(part)
    weights_file.write(part, network)
    return comparison.of_batch(weights_file.load(part, trained.settings["generator"], scale))
