"""README.md of an exported or shipped network: what it is and how to use it, for people."""

from pathlib import Path

from srgan.export import card, comparison
from srgan.export.card import Exported
from srgan.hounsfield import HU_MAX, HU_MIN
from srgan.metrics import intervals
from srgan.report.about import levels_remark
from srgan.training import model_card, strength

FILE = "README.md"
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
    "checkpoint": """\
```python
import srgan
network = srgan.load(scale={scale}, strength={strength})
hu = network(low_dose_hu)
```

`python main.py --run enhance --checkpoint-dir shipped --scale {scale} --strength {strength}` puts a
scan through it, `--run export` with these flags writes it for other programs.""",
}


def write(folder: Path, exported: Exported) -> None:
    """Raises OSError."""
    (folder / FILE).write_text(text(exported), encoding="utf-8")


def text(exported: Exported) -> str:
    """README.md."""
    trained, made, name = exported.trained, exported.settings, exported.name
    use = USE[exported.format].replace("{generator}", made.generator)
    use = use.replace("{strength}", f"{exported.strength:g}")
    return f"""\
# {_title(exported)} for low-dose chest CT

A generator ({made.generator} form) that turns low-dose axial chest CT slices into normal-dose
slices. {_sides(exported)}

{model_card.warning(name)}

## Use it

{use.replace("{scale}", str(made.scale))}

{_compared(exported)}{model_card.about(name, trained.manifest)}
{_machine(exported)}## Test

{_test(exported)}

## Limits

{_list(card.limits(exported))}

{_licence(exported)}`model_card.json` says the same for programs, with the SHA-256 of the weights \
and of each file.
"""


def _compared(exported: Exported) -> str:
    if exported.difference_hu is None:
        return ""
    return (
        "It was compared with the network in the program that trained it: the largest difference "
        f"was\n{exported.difference_hu:.2g} HU, over made slices of {len(comparison.SHAPES)} "
        "sizes.\n\n"
    )


def _machine(exported: Exported) -> str:
    if exported.shipped is None:
        return ""
    sha256 = " and ".join(strength.weights_of(exported.trained, exported.strength).values())
    return f"""\
## Machine and settings

- {exported.shipped.machine}; {exported.trained.manifest.precision}
- All settings: `training.settings` in `model_card.json`
- SHA-256 of the weights: `{sha256}`

"""


def _licence(exported: Exported) -> str:
    if exported.shipped is None:
        return (
            "The weights carry no licence of their own: ask whoever trained them, and mind that of "
            "the scans.\n"
        )
    rows = "".join(
        "| {collection} | {train_patients} ({train_slices}) | {validation_patients} "
        "({validation_slices}) | {test_patients} ({test_slices}) | {licence} | {citation} "
        "|\n".format(**row)
        for row in exported.shipped.collections
    )
    return f"""\
## Licence and scans

{exported.shipped.licence}

Patients (slices) of each collection:

| collection | training | validation | test | licence | cite |
|---|---|---|---|---|---|
{rows}
"""


def _title(exported: Exported) -> str:
    first, *between = exported.name.split(" ")
    title = model_card.TITLES[first]
    return f"{title} of strength {between[0]}" if between else title


def _sides(exported: Exported) -> str:
    if exported.format == "weights":
        return ""
    grown = "" if exported.settings.scale == 1 else str(exported.settings.scale)
    if exported.format == "checkpoint":
        return f"(h, w) HU in, ({grown}h, {grown}w) HU out, for any h and w."
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
    kind = "synthetic " if found["synthetic"] else ""
    lines = [
        f"{found['slices']} slices of {found['patients']} {kind}patients that it has not seen."
    ]
    for level in found["levels"]:
        columns = {**level["input"], exported.name: level["network"]}
        lines += ["", _noise(level["noise"]), "", f"| metric | {' | '.join(columns)} |"]
        lines.append("|---" * (len(columns) + 1) + "|")
        for title, digits, path in _rows(found["windows_hu"]):
            values = [value(at(metrics, path), digits) for metrics in columns.values()]
            values[-1] += interval(level["intervals"].get(path), digits)
            lines.append(f"| {title} | {' | '.join(values)} |")
    if any(level["intervals"] for level in found["levels"]):
        lines += ["", f"In brackets: {intervals.INTERVAL}."]
    if exported.shipped:
        lines += ["", "These figures again:", "", f"```\n{exported.shipped.test_command}\n```"]
    return "\n".join(lines)


def _rows(windows: dict) -> list[tuple[str, str, str]]:
    """Of the table: title, format, and where the value stands: "psnr_db.lung"."""
    rows = []
    for title, key, digits in (("PSNR, dB", "psnr_db", ".2f"), ("SSIM", "ssim", ".4f")):
        for name, (low, high) in windows.items():
            where = f"{title}, window {low:g} to {high:g} HU"
            rows.append((where, digits, f"{key}.{name}"))
    rows.append(("RMSE, HU", ".1f", "rmse_hu"))
    return [*rows, ("mean error, HU", "+.2f", "bias_hu")]


def at(metrics: dict, path: str) -> float | None:
    key, *window = path.split(".")
    return metrics[key][window[0]] if window else metrics[key]


def interval(ends: list[float] | None, digits: str) -> str:
    return "" if ends is None else " ({} to {})".format(*(format(end, digits) for end in ends))


def _noise(noise: dict) -> str:
    model = noise.get("model")
    return f"{'Projection' if model == 'projection' else 'Image'} noise: {levels_remark(noise)}."


def value(number: float | None, digits: str) -> str:
    return "-" if number is None else format(number, digits)
