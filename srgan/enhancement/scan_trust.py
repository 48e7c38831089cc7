"""What the measured slices say of a scan: as JSON, as lines for the terminal, and as warnings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from srgan.enhancement.trust import SliceTrust
from srgan.evaluation.checks import BIAS_HU, MOST_SPOTS
from srgan.metrics import input_noise
from srgan.metrics.removed_structure import MOST_SHARE, MOST_SPOT
from srgan.metrics.slice_output import TISSUES_HU
from srgan.system.errors import plural
from srgan.training.manifest import NoiseRange

# An output without any noise has 1 where the noise is known exactly, and 1.6 where it reads a fifth
# low. A network of three minutes had 0.1 to 0.7 on validation patients in the trained range. With a
# shift of half a pixel networks have 3.4.
MOST_CHI2 = 2.0
INSIDE, QUIETER, NOISIER = "inside", "quieter", "noisier"
NOT_MEASURABLE, NOT_RECORDED = "not measurable", "not recorded"
SEEN = {"patient": "its patient ID", "series": "its series", "pixels": "pixels of its slices"}


@dataclass(frozen=True)
class ScanTrust:
    """What was measured in a scan: means and medians over the measured slices."""

    slices: int  # that were measured
    noise: dict | None  # input_noise.summary
    trained: NoiseRange | None
    tissues_hu: dict[str, tuple[float, float]]  # mean before and after
    chi2: float | None  # scale 2 and 4
    wide_spots: float | None  # a slice
    removed_share: float | None  # scale 1
    removed_spot: float | None
    seen: tuple[str, ...] = ()  # keys of SEEN: what the network was trained or validated on

    @property
    def noise_is(self) -> str:
        """Where the noise of the input lies beside the trained range."""
        if self.noise is None:
            return NOT_MEASURABLE
        if self.trained is None:
            return NOT_RECORDED
        median_hu = self.noise["median_hu"]
        if median_hu < self.trained.low_hu:
            return QUIETER
        return NOISIER if median_hu > self.trained.high_hu else INSIDE

    def as_json(self) -> dict:
        trained = self.trained
        return {
            "measured_slices": self.slices,
            "input_noise": self.noise,
            "trained_noise": trained and {"low_hu": trained.low_hu, "high_hu": trained.high_hu},
            "input_noise_is": self.noise_is,
            "tissues_hu": {
                name: {"before": before, "after": after, "change": after - before}
                for name, (before, after) in self.tissues_hu.items()
            },
            "chi2": self.chi2,
            "wide_spots": self.wide_spots,
            "removed_share": self.removed_share,
            "removed_spot": self.removed_spot,
            "seen_in_training": list(self.seen),
        }


def of(
    found: Sequence[SliceTrust], trained: NoiseRange | None, seen: Iterable[str] = ()
) -> ScanTrust:
    """Combine the slices. A tissue has the mean over the slices that show it."""
    tissues = {
        name: (
            float(np.mean([each.before_hu[name] for each in shown])),
            float(np.mean([each.after_hu[name] for each in shown])),
        )
        for name in TISSUES_HU
        if (shown := [each for each in found if name in each.before_hu])
    }
    return ScanTrust(
        slices=len(found),
        noise=input_noise.summary(each.noise_hu for each in found),
        trained=trained,
        tissues_hu=tissues,
        chi2=_mean([each.chi2 for each in found]),
        wide_spots=_mean([each.wide_spots for each in found]),
        removed_share=_mean([each.removed_share for each in found]),
        removed_spot=_mean([each.removed_spot for each in found]),
        seen=tuple(kind for kind in SEEN if kind in set(seen)),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return float(np.mean(measured)) if measured else None


# ---- in words ----


def lines(trust: ScanTrust) -> list[str]:
    """What was measured, a line each; no judgement."""
    said = [_noise_line(trust)]
    if trust.tissues_hu:
        changes = ", ".join(
            f"{name} {after - before:+.1f}" for name, (before, after) in trust.tissues_hu.items()
        )
        said.append(f"mean HU of tissues, output minus input: {changes}")
    if trust.chi2 is not None:
        said.append(
            f"output against its input: chi2 {trust.chi2:.2f} (up to 1: within the noise), "
            f"{trust.wide_spots:.1f} wide spots a slice"
        )
    removed = []
    if trust.removed_share is not None:
        removed.append(f"{round(100 * trust.removed_share)} % of fine edges and vessels")
    if trust.removed_spot is not None:
        removed.append(f"strongest spot {trust.removed_spot:.1f} SDs of the noise")
    if removed:
        bounds = f"bounds {100 * MOST_SHARE:g} %, {MOST_SPOT:g}"
        said.append(f"structure in what was removed: {', '.join(removed)} ({bounds})")
    return said


def _noise_line(trust: ScanTrust) -> str:
    if trust.noise is None:
        return "noise of the input: not measurable, no slice shows enough flat soft tissue"
    noise, trained = trust.noise, trust.trained
    text = (
        f"noise of the input: {noise['median_hu']:.1f} HU in flat soft tissue (median of "
        f"{plural(noise['slices'], 'slice')}, {noise['low_hu']:.1f} to {noise['high_hu']:.1f})"
    )
    if trained is None:
        return f"{text}; the noise that the network was trained on is not recorded"
    return f"{text}; trained on {_range(trained)}"


def _range(trained: NoiseRange) -> str:
    return f"{trained.low_hu:.1f} to {trained.high_hu:.1f} HU"


def warnings(trust: ScanTrust, tested: str = "") -> list[str]:
    """What a reader must know, a line each. tested: what such noise did on test patients."""
    said = []
    if trust.seen:
        known = ", ".join(SEEN[kind] for kind in trust.seen)
        said.append(
            f"the network was trained or validated on this patient ({known}): on scans that it "
            f"does not know it may do worse than here"
        )
    if trust.noise_is in (QUIETER, NOISIER):
        said.append(
            f"the input is {trust.noise_is} than what the network was trained on: "
            f"{trust.noise['median_hu']:.1f} HU, trained on {_range(trust.trained)}; {tested}"
        )
    for name, (before, after) in trust.tissues_hu.items():
        if abs(after - before) > BIAS_HU:
            said.append(
                f"the mean of {name} went from {before:.0f} to {after:.0f} HU (bound {BIAS_HU:g})"
            )
    if trust.chi2 is not None and (trust.chi2 > MOST_CHI2 or trust.wide_spots > MOST_SPOTS):
        said.append(
            f"the output departs from its input by more than noise explains: chi2 "
            f"{trust.chi2:.2f} (bound {MOST_CHI2:g}), {trust.wide_spots:.1f} wide spots a slice "
            f"(bound {MOST_SPOTS:g})"
        )
    if (trust.removed_share or 0) > MOST_SHARE or (trust.removed_spot or 0) > MOST_SPOT:
        said.append("edges or vessels were removed with the noise: look at preview.png")
    return said
