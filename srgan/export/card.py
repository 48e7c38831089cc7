"""The model card of an exported network: README.md for people, model_card.json for programs.

It follows from the checkpoint and a report: it names no patient and no path.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from srgan import __version__
from srgan.export import comparison
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS
from srgan.report.about import levels_remark
from srgan.report.summary_json import strict
from srgan.settings import Settings
from srgan.system.checksums import sha256_of_file
from srgan.system.files import write_json
from srgan.training import model_card
from srgan.training.checkpoint_models import Trained

README, JSON = "README.md", "model_card.json"
FORMAT = 1
LIBRARIES = ("tensorflow", "keras", "numpy", "tf2onnx", "onnx", "onnxruntime")
USE = {
    "savedmodel": """\
```python
import numpy as np
import tensorflow as tf

network = tf.saved_model.load(".")  # this folder
low_dose_hu = np.full((1, 128, 128), -850, np.float32)  # your slices
hu = network(tf.constant(low_dose_hu)).numpy()
```

TensorFlow Serving and other programs find the signature `serving_default`: `low_dose_hu` to
`normal_dose_hu`.""",
    "onnx": """\
```python
import numpy as np
import onnxruntime

network = onnxruntime.InferenceSession("model.onnx")
low_dose_hu = np.full((1, 128, 128), -850, np.float32)  # your slices
(hu,) = network.run(["normal_dose_hu"], {"low_dose_hu": low_dose_hu})
```""",
    "weights": """\
```python
import numpy as np
from srgan.models import generator

network = generator.build("{generator}", {scale})
weights = np.load("weights.npz")
network.set_weights([weights[weight.path] for weight in network.weights])
```

The names are those of the layers in `srgan/models/generator.py`. A kernel is (rows, columns, maps
in, maps out), as in TensorFlow. This network takes and gives (batch, rows, columns, 1) in -1 to 1,
for -1024 to 3071 HU; it does not clip.""",
}


@dataclass(frozen=True)
class Exported:
    """A network that was exported."""

    format: str  # savedmodel, onnx or weights
    name: str  # srresnet or srgan
    trained: Trained
    parameters: int
    difference_hu: float  # from this program's network, at most, over `comparison.images`
    test: dict | None  # report_metrics.metrics_of

    @property
    def settings(self) -> Settings:
        return Settings(**self.trained.settings)


def write(folder: Path, exported: Exported) -> None:
    """Both files, into a folder that holds the network. Raises OSError."""
    write_json(folder / JSON, content(exported, _sums(folder)))
    (folder / README).write_text(text(exported), encoding="utf-8")


def _sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files}


def content(exported: Exported, files: dict[str, str]) -> dict:
    """The content of model_card.json: JSON values. files: name to SHA-256."""
    manifest, made = exported.trained.manifest, exported.settings
    data, best = manifest.data, manifest.best.get(exported.name)
    return strict({
        "format": FORMAT,
        "network": {
            "name": exported.name,
            "generator": made.generator,
            "scale": made.scale,
            "parameters": exported.parameters,
            "step": manifest.step,
            "weights_sha256": exported.trained.sha256[exported.name],
            "weights_licence": None,
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
        },
        "dose_model": {**manifest.degradation, "photons": manifest.photons},
        "training": {
            **{n: getattr(made, n) for n in ("batch_size", "crop", "content_loss")},
            "vgg_weights": manifest.vgg_weights,
            "pretrain_steps": manifest.plan.pretrain_steps,
            "steps": manifest.plan.steps,
            "warnings": list(exported.trained.warnings),
            "unfinished": exported.trained.is_unfinished,
        },
        "validation": best and {
            "on": "fixed patches of the validation patients, at the middle noise level",
            "psnr_db": best.validation_psnr_db,
            "psnr_window_hu": list(WINDOWS["full"]),
            "texture_ratio": best.validation_texture,
            "sd_ratio": best.validation_sd,
        },
        "test": exported.test,
        "limits": limits(exported),
        "versions": _versions(),
    })  # fmt: skip


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
        if exported.name == "srgan"
        else "It can remove detail, and its output is smoother than a scan.",
        f"It has learned from {data.patients} patients"
        + (", all of them synthetic: do not use it on real scans." if data.synthetic else "."),
        "It knows axial chest CT alone, one slice at a time, with pixels and noise as in its "
        "training; noise of another kind or strength gives images that nobody has tested.",
        f"Values are clipped to {HU_MIN:g} to {HU_MAX:g} HU: metal above is lost.",
    ]
    if made.scale > 1:
        lines.append(
            f"Its input is the mean of {made.scale} x {made.scale} pixels of a slice, in HU."
        )
    if exported.test is None:
        lines.append("This card holds no metrics of test patients.")
    return lines


def text(exported: Exported) -> str:
    """README.md."""
    trained, made, name = exported.trained, exported.settings, exported.name
    use = USE[exported.format].replace("{generator}", made.generator)
    return f"""\
# {model_card.TITLES[name]} for low-dose chest CT, step {trained.manifest.step}

A generator ({made.generator} form) that turns low-dose axial chest CT slices into normal-dose
slices. {_sides(exported)}

{model_card.warning(name)}

## Use it

{use.replace("{scale}", str(made.scale))}

It was compared with the network in the program that trained it: the largest difference was
{exported.difference_hu:.2g} HU, over made slices of {len(comparison.SHAPES)} sizes.

{model_card.about(name, trained.manifest)}
## Test

{_test(exported)}

## Limits

{_list(limits(exported))}

`model_card.json` says the same for programs, with the SHA-256 of the weights and of each file. The
weights carry no licence of their own: ask whoever trained them, and mind that of the scans.
"""


def _sides(exported: Exported) -> str:
    if exported.format == "weights":
        return ""
    grown = "" if exported.settings.scale == 1 else str(exported.settings.scale)
    return (
        f"(n, h, w) float32 HU in, (n, {grown}h, {grown}w) float32 HU out, for any n, h and w. The "
        f"graph clips to\n[{HU_MIN:g}, {HU_MAX:g}] HU and scales by itself."
    )


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _test(exported: Exported) -> str:
    found = exported.test
    if found is None:
        return "Not recorded."
    windows = found["windows_hu"]
    kind = "synthetic " if found["synthetic"] else ""
    lines = [
        f"{found['slices']} slices of {found['patients']} {kind}patients that it has not seen."
    ]
    for level in found["levels"]:
        rows = {**level["input"], exported.name: level["network"]}
        lines += ["", f"Noise: {levels_remark(level['noise'])}.", ""]
        lines += [f"| metric | {' | '.join(rows)} |", "|---" * (len(rows) + 1) + "|"]
        for title, key, digits in (("PSNR, dB", "psnr_db", ".2f"), ("SSIM", "ssim", ".4f")):
            for window, (low, high) in windows.items():
                values = [_value(of[key].get(window), digits) for of in rows.values()]
                lines.append(f"| {title}, window {low:g} to {high:g} HU | {' | '.join(values)} |")
        for title, key, digits in (("RMSE", "rmse_hu", ".1f"), ("mean error", "bias_hu", "+.2f")):
            values = [_value(of[key], digits) for of in rows.values()]
            lines.append(f"| {title}, HU | {' | '.join(values)} |")
    return "\n".join(lines)


def _value(value: float | None, digits: str) -> str:
    return "-" if value is None else format(value, digits)
