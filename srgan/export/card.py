"""model_card.json of an exported or shipped network, for programs. card_text.py is for people.

It follows from the checkpoint and a report: it names no patient and no path.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from srgan import __version__
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS
from srgan.report.summary_json import strict
from srgan.settings import Settings
from srgan.system.checksums import sha256_of_file
from srgan.system.files import read_bounded, write_json
from srgan.system.folders import DAMAGES
from srgan.training import strength
from srgan.training.checkpoint_folder import step_of
from srgan.training.checkpoint_models import Trained

FILE = "model_card.json"
FORMAT = 1
LIBRARIES = ("tensorflow", "keras", "numpy", "tf2onnx", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Shipped:
    """What is known of weights that ship with the program, beside their checkpoint."""

    licence: str
    collections: list[dict]  # rows: collection, patients and slices by role, licence, citation
    machine: str  # where they were trained, and for how long
    test_command: str  # gives the metrics of the card


def of_shipped(trained: Trained, name: str) -> tuple[Shipped, dict | None] | None:
    """What the card in a model's folder says of these weights, and its `test`; None without one."""
    try:
        found = json.loads(read_bounded(trained.models[name] / FILE))
        if found["network"]["weights_sha256"] != {name: trained.sha256[name]}:
            return None
        training, data = found["training"], found["data"]
        about = Shipped(
            found["network"]["weights_licence"],
            data["collections"],
            training["machine"],
            found["test_command"],
        )
        return about, found["test"]
    except DAMAGES:
        return None


@dataclass(frozen=True)
class Exported:
    """A network that was exported."""

    format: str  # savedmodel, onnx, weights, or checkpoint where it is one that ships
    strength: float  # 0 is the SRResNet, 1 the SRGAN
    trained: Trained
    parameters: int
    difference_hu: float | None  # from this program's network, at most, over `comparison.images`
    test: dict | None  # report_metrics.metrics_of
    shipped: Shipped | None = None

    @property
    def name(self) -> str:
        """srresnet, srgan, or "srgan 0.5"."""
        return strength.method_name(self.strength)

    @property
    def models(self) -> tuple[str, ...]:
        """Those that it is made of."""
        return strength.models_of(self.strength)

    @property
    def settings(self) -> Settings:
        return Settings(**self.trained.settings)


def write(folder: Path, exported: Exported) -> None:
    """Into a folder that holds the network and no other file. Raises OSError."""
    write_json(folder / FILE, content(exported, _sums(folder)))


def _sums(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    return {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files}


def content(exported: Exported, files: dict[str, str]) -> dict:
    """The content of model_card.json: JSON values. files: name to SHA-256."""
    manifest, made = exported.trained.manifest, exported.settings
    data, best = manifest.data, manifest.best.get(exported.name)
    noise = manifest.noise_range
    return strict({
        "format": FORMAT,
        "network": {
            "name": exported.name,
            "generator": made.generator,
            "scale": made.scale,
            "parameters": exported.parameters,
            "strength": exported.strength,
            "step": step_of(exported.trained.models[exported.models[-1]]),
            "weights_sha256": strength.weights_of(exported.trained, exported.strength),
            "weights_licence": exported.shipped and exported.shipped.licence,
        },
        "exported": {
            "format": exported.format,
            "input": _array("low_dose_hu", 1),
            "output": _array("normal_dose_hu", made.scale),
            "largest_difference_hu": exported.difference_hu,
            "files_sha256": files,
        },
        "data": {
            "synthetic": data.synthetic,
            "patients": data.patients,
            "slices": data.slices,
            "origin": manifest.origin.text() if manifest.origin else None,
            **({"collections": exported.shipped.collections} if exported.shipped else {}),
        },
        "dose_model": {
                **manifest.degradation,
                "photons": manifest.photons,
                "input_noise_hu": noise and [noise.low_hu, noise.high_hu],
            },
        "training": {
            **{n: getattr(made, n) for n in ("batch_size", "crop", "content_loss")},
            "vgg_weights": manifest.vgg_weights,
            "pretrain_steps": manifest.plan.pretrain_steps,
            "steps": manifest.plan.steps,
            "warnings": list(exported.trained.warnings),
            "unfinished": exported.trained.is_unfinished,
            **(_whole_training(exported) if exported.shipped else {}),
        },
        "validation": best and {
            "on": "fixed patches of the validation patients, at the middle noise level",
            "psnr_db": best.validation_psnr_db,
            "psnr_window_hu": list(WINDOWS["full"]),
            "texture_ratio": best.validation_texture,
            "sd_ratio": best.validation_sd,
        },
        "test": exported.test,
        **({"test_command": exported.shipped.test_command} if exported.shipped else {}),
        "limits": limits(exported),
        "versions": _versions(),
    })  # fmt: skip


def _whole_training(exported: Exported) -> dict:
    manifest = exported.trained.manifest
    return {
        "machine": exported.shipped.machine,
        "precision": manifest.precision,
        "settings": manifest.settings,
    }


def _array(name: str, scale: int) -> dict:
    sides = ["rows", "columns"] if scale == 1 else [f"{scale}*rows", f"{scale}*columns"]
    return {
        "name": name, "shape": ["batch", *sides], "dtype": "float32", "unit": "HU",
        "range": [HU_MIN, HU_MAX],
    }  # fmt: skip


def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3])), "srgan": __version__}
    for name in LIBRARIES:
        if name in sys.modules:
            found[name] = getattr(sys.modules[name], "__version__", None)
    return found


def limits(exported: Exported) -> list[str]:
    """What the network must not be taken for, a sentence each."""
    data, made = exported.trained.manifest.data, exported.settings
    lines = [
        "Not a medical device: for research and teaching only. Never diagnose from its images.",
        "It can invent detail and remove detail."
        if exported.strength > 0
        else "It can remove detail, and its output is smoother than a scan.",
        f"It was trained and validated on {data.patients} patients"
        + (", all of them synthetic: do not use it on real scans." if data.synthetic else "."),
        "It knows axial chest CT alone, one slice at a time, with pixels and noise as in its "
        "training; noise of another kind or strength gives images that nobody has tested.",
        f"Values are clipped to {HU_MIN:g} to {HU_MAX:g} HU: metal above is lost.",
    ]
    if (noise := exported.trained.manifest.noise_range) is not None:
        lines.append(f"Its inputs had a noise of {noise.text()}.")
    if made.scale > 1:
        lines.append(
            f"Its input is the mean of {made.scale} x {made.scale} pixels of a slice, in HU."
        )
    if exported.test is None:
        lines.append("This card holds no metrics of test patients.")
    return lines
