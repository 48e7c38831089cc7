"""What a study says in words and with what certainty: verdict lines, intervals and paired tests."""

import textwrap
from collections.abc import Collection
from dataclasses import asdict, dataclass

from srgan.evaluation import methods, statistics, verdict
from srgan.evaluation.statistics import Comparison, Interval
from srgan.evaluation.study import Study
from srgan.evaluation.verdict import Verdict
from srgan.hounsfield import WINDOWS

KIND_OF = {"nearest": "enlargement", "bicubic": "enlargement", methods.NON_LOCAL_MEANS: "denoiser"}
AGAINST = ("bicubic", "srresnet")
# Figures with an interval: name to the path in judge.figures.
OVER_PATIENTS = {
    "psnr_lung_db": ("psnr_db", "lung"),
    "ssim_lung": ("ssim", "lung"),
    "rmse_hu": ("rmse_hu",),
}


@dataclass(frozen=True)
class Conclusions:
    """Of a study at one noise level; methods by name."""

    headline: str
    verdicts: dict[str, list[Verdict]]
    intervals: dict[str, dict[str, Interval]]  # method, figure of OVER_PATIENTS
    compared: dict[str, dict[str, dict[str, Comparison]]]  # method, other, figure

    def as_json(self) -> dict:
        """For summary.json."""
        return {
            "headline": self.headline,
            "bounds": verdict.BOUNDS,
            "verdicts": {m: [asdict(line) for line in of] for m, of in self.verdicts.items()},
            "interval": statistics.INTERVAL,
            "intervals": _dicts(self.intervals),
            "test": statistics.TEST,
            "compared": _dicts(self.compared),
        }


def _dicts(value):
    if isinstance(value, dict):
        return {name: _dicts(inner) for name, inner in value.items()}
    return asdict(value)


def kind_of(method: str) -> str:
    """verdict.KINDS of a method: what is not known by its name is judged as a network."""
    return KIND_OF.get(method, "gan" if method.startswith("srgan") else "pixel")


def _srresnet_of(method: str, methods: Collection[str]) -> str | None:
    """What a network is held against: "srgan B" against "srresnet B", without one the main one."""
    if kind_of(method) not in verdict.NETWORKS or method.startswith("srresnet"):
        return None
    own = "srresnet" + method.removeprefix("srgan")
    return own if own in methods else "srresnet"


def of(study: Study) -> Conclusions:
    """Verdict lines of each method, intervals over patients, and tests against AGAINST."""
    overall, by_patient = study.overall(), study.by_patient()
    normal_dose = study.normal_dose_overall()
    verdicts = {}
    for name, figures in overall.items():
        others = {"bicubic": overall.get("bicubic", {}), "normal_dose": normal_dose}
        srresnet = overall.get(_srresnet_of(name, overall))
        verdicts[name] = verdict.lines(figures, kind_of(name), srresnet=srresnet, **others)
    networks = {n: v for n, v in verdicts.items() if kind_of(n) in verdict.NETWORKS}
    values = {
        name: {figure: _of_patients(by_patient, name, path) for figure, path in _paths()}
        for name in overall
    }
    return Conclusions(
        headline=verdict.headline(networks),
        verdicts=verdicts,
        intervals={
            n: {f: statistics.interval(v) for f, v in of.items()} for n, of in values.items()
        },
        compared={
            name: {
                other: {
                    f: statistics.compare(values[name][f], values[other][f]) for f, _ in _paths()
                }
                for other in AGAINST
                if other in overall and other != name
            }
            for name in networks
        },
    )


def _paths():
    return OVER_PATIENTS.items()


def _of_patients(by_patient: dict, method: str, path: tuple[str, ...]) -> list[float | None]:
    values = []
    for of_methods in by_patient.values():
        value = of_methods[method]
        for name in path:
            value = value[name]
        values.append(value)
    return values


def text(found: Conclusions) -> str:
    """For a terminal, below a table: each network's lines, and what is certain."""
    lines = []
    for name, of_method in found.verdicts.items():
        for line in of_method if kind_of(name) in verdict.NETWORKS else []:
            lines.append(f"{name}: {'FAILS: ' if line.fails else ''}{line.text}")
    lines += [verdict.BOUNDS, "", *_certainty(found)]
    return "\n".join(textwrap.fill(line, 100, subsequent_indent="  ") for line in lines)


def _certainty(found: Conclusions) -> list[str]:
    """PSNR in the lung window: mean, SD and interval; p against the others."""
    lines = [f"PSNR in the lung window ({WINDOWS['lung']}) over patients, dB"]
    why = ""
    for name, intervals in found.intervals.items():
        each = intervals["psnr_lung_db"]
        cells = "" if each.mean is None else f"mean {each.mean:.2f}"
        cells += "" if each.sd is None else f", SD {each.sd:.2f}"
        if each.low is not None:
            cells += f", 95 % interval {each.low:.2f} to {each.high:.2f}"
        why = why or each.why
        for other, comparisons in found.compared.get(name, {}).items():
            p = comparisons["psnr_lung_db"].p
            cells += "" if p is None else f", p {p:.2g} against {other}"
        lines.append(f"{name:16}{cells}")
    lines.append(f"no interval: {why}" if why else statistics.INTERVAL)
    return lines
