"""README.md in a model's folder: what the model is, and how to use it.

It follows from the manifest alone, so it names no patient and no path.
"""

from contextlib import suppress
from pathlib import Path

from srgan import settings as all_settings
from srgan.hounsfield import WINDOWS
from srgan.lowdose import photon_cache
from srgan.settings import Settings, degradation_of
from srgan.system.errors import UserError
from srgan.training.manifest import MODELS, BestModel, Manifest
from srgan.training.sealed import README

TITLES = {"srresnet": "SRResNet", "srgan": "SRGAN"}
LOSSES = {"l1": "L1", "mse": "mean squared error"}


def write(folder: Path, name: str, manifest: Manifest) -> None:
    """Write the README.md of a model. Raises OSError."""
    (folder / README).write_text(text(name, manifest), encoding="utf-8")


def remove(folder: Path, name: str, manifest: Manifest) -> None:
    """Delete the README.md of a model, unless a user changed it."""
    path = folder / README
    with suppress(OSError, ValueError, UserError):  # UserError: settings of another version
        if path.read_text(encoding="utf-8") == text(name, manifest):
            path.unlink()


def text(name: str, manifest: Manifest) -> str:
    """name: "srresnet" or "srgan"."""
    settings = Settings(**all_settings.from_record(manifest.settings))
    scale = settings.scale
    return f"""\
# {TITLES[name]} for low-dose chest CT, step {manifest.step}

A generator ({settings.generator} form) that turns a low-dose axial chest CT slice into a
normal-dose slice: (h, w) HU in, ({scale}h, {scale}w) HU out.

{warning(name)}

## Use it

```python
import srgan
enhance = srgan.load("checkpoint", strength={MODELS.index(name)})  # the folder that holds this one
hu = enhance(low_dose_hu)
```

`python main.py --run test --checkpoint-dir checkpoint` evaluates it on patients it has not seen.
`python main.py --run export --checkpoint-dir checkpoint --format savedmodel --output exported`
writes the SRGAN, or where there is none the SRResNet, for other programs: also as `onnx` or
`weights`.

{about(name, manifest)}
`manifest.json` holds all settings and the SHA-256 of `generator.npz` (arrays `0`, `1`, ... in the
order of Keras' `get_weights`). This file may be edited or deleted.
"""


def warning(name: str) -> str:
    """What the model must not be used for, in Markdown."""
    return f"**Not a medical device.** For research and teaching only. {_caution(name)}"


def about(name: str, manifest: Manifest) -> str:
    """The sections on training and validation, in Markdown."""
    settings = Settings(**all_settings.from_record(manifest.settings))
    return f"""\
## Training

- Data: {_data(manifest)}
- Low dose: {_dose(settings, manifest)}; then the mean of {settings.scale} x {settings.scale} pixels
- Patches: {settings.batch_size} a step, {settings.crop} x {settings.crop} pixels
{_steps(name, settings, manifest)}

## Validation

{_validation(name, manifest.best.get(name))}
{_warnings(manifest)}"""


def _caution(name: str) -> str:
    return (
        "A GAN can invent detail." if name != "srresnet" else "Its output is smoother than a scan."
    )


def _data(manifest: Manifest) -> str:
    data = manifest.data
    kind = "synthetic chests" if data.synthetic else "real scans"
    slices = ", ".join(
        f"{data.slices[role]} slices for {use}"
        for role, use in (("train", "training"), ("validation", "validation"))
        if role in data.slices
    )
    text = f"{kind}; {data.patients} patients; {slices}"
    if manifest.origin is not None:
        text += (
            f"\n- It {manifest.origin.text()}, whose last training had seen "
            f"{manifest.origin.patients} patients"
        )
    return text


def _dose(settings: Settings, manifest: Manifest) -> str:
    described = degradation_of(settings).noise.describe()
    if manifest.data.simulated_pairs:
        described += " (some made by --run simulate, not measured)"
    if manifest.noise_range is not None:
        described += f"; noise of the inputs {manifest.noise_range.text()}"
    if manifest.photons is None:
        return described
    return f"{described} ({photon_cache.summary_text(manifest.photons)})"


def _steps(name: str, settings: Settings, manifest: Manifest) -> str:
    from srgan.models.generator import FORMS  # TensorFlow, which a model is written with anyway

    gan = max(manifest.step - manifest.plan.pretrain_steps, 0)
    loss = LOSSES[FORMS[settings.generator].pretrain_loss]
    lines = f"- SRResNet: {manifest.step - gan} steps, {loss} loss"
    if name != "srresnet":
        content = f"{settings.content_loss}, VGG19 weights: {manifest.vgg_weights}"
        lines += f"\n- SRGAN: {gan} more steps, content loss {content}"
    lines += "".join(f"\n- {each.text()}" for each in manifest.extended)
    return lines


def _validation(name: str, best: BestModel | None) -> str:
    if best is None:
        return "Not recorded."
    low, high = WINDOWS["full"]
    return f"""\
On fixed patches of the validation patients, at the middle noise level:

| metric | value |
|---|---|
| PSNR, window {low:g} to {high:g} HU | {best.validation_psnr_db:.2f} dB |
| texture, ratio to normal dose | {best.validation_texture:.2f} |
| SD within a patch, ratio to normal dose | {best.validation_sd:.2f} |"""


def _warnings(manifest: Manifest) -> str:
    lines = [f"- Warning at step {each.step}: {each.text}\n" for each in manifest.health.warnings]
    return "\n" + "".join(lines) + "\n" if lines else ""
