"""What a study says in words and with what certainty: verdict lines, intervals and paired tests."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from srgan.evaluation import baselines, verdict
from srgan.evaluation.study import Study
from srgan.evaluation.verdict import Verdict
from srgan.metrics import intervals, registry
from srgan.metrics.intervals import Comparison, Interval
from srgan.metrics.registry import value_at

KIND_OF = {
    "nearest": "enlargement",
    "bicubic": "enlargement",
    baselines.NON_LOCAL_MEANS: "denoiser",
}
AGAINST = ("bicubic", "srresnet")
MAIN_METRIC = "psnr_db.lung"  # whose certainty is shown first


@dataclass(frozen=True)
class Conclusions:
    """Of a study at one noise level; methods by name."""

    headline: str
    kinds: dict[str, str]  # of verdict.KINDS
    verdicts: dict[str, list[Verdict]]
    intervals: dict[str, dict[str, Interval]]  # method, figure as a column's key: "psnr_db.lung"
    compared: dict[str, dict[str, dict[str, Comparison]]]  # method, other, figure

    def as_json(self) -> dict:
        """For summary.json."""
        return {
            "headline": self.headline,
            "bounds": verdict.BOUNDS,
            "kinds": self.kinds,
            "verdicts": {m: [asdict(line) for line in of] for m, of in self.verdicts.items()},
            "interval": intervals.INTERVAL,
            "intervals": _dicts(self.intervals),
            "test": intervals.TEST,
            "compared": _dicts(self.compared),
        }


def _dicts(value):
    if isinstance(value, dict):
        return {name: _dicts(inner) for name, inner in value.items()}
    return asdict(value)


def kind_of(method: str, kinds: Mapping[str, str] | None = None) -> str:
    """verdict.KINDS of a method: as given, or by its name; an unknown one is a pixel network."""
    guess = KIND_OF.get(method, "gan" if method.startswith("srgan") else "pixel")
    return (kinds or {}).get(method, guess)


def _srresnet_of(method: str, kind: str, methods: Collection[str]) -> str | None:
    """What a network is held against: "srgan B" against "srresnet B", without one the main one."""
    if kind not in verdict.NETWORKS or method.startswith("srresnet"):
        return None
    own = "srresnet" + method.removeprefix("srgan")
    return own if own in methods else "srresnet"


def of(study: Study, kinds: Mapping[str, str] | None = None) -> Conclusions:
    """Verdict lines of each method, intervals over patients, and tests against AGAINST.

    kinds: one of verdict.KINDS by a method's name; `kind_of` guesses the others. Intervals are of
    every metric of the tables that patients have, tests of those with a better end. Raises
    ValueError where a kind is unknown or of no method.
    """
    for name, kind in (kinds or {}).items():
        if name not in study.methods or kind not in verdict.KINDS:
            known = f"methods {', '.join(study.methods)}; kinds {', '.join(verdict.KINDS)}"
            raise ValueError(f"no kind {kind!r} of {name!r} ({known})")
    overall, by_patient = study.overall(), study.by_patient()
    kinds = {name: kind_of(name, kinds) for name in overall}
    others = {"bicubic": overall.get("bicubic", {}), "normal_dose": study.normal_dose_overall()}
    verdicts = {}
    for name, metrics in overall.items():
        srresnet = overall.get(_srresnet_of(name, kinds[name], overall))
        verdicts[name] = verdict.lines(metrics, kinds[name], srresnet=srresnet, **others)
    paths = {
        path: metric
        for metric in registry.measured(overall.values())
        if metric.table and not metric.of_disc
        for path in metric.paths(study.windows)
    }
    values = {
        name: {path: [value_at(of[name], path) for of in by_patient.values()] for path in paths}
        for name in overall
    }
    tested = [path for path, metric in paths.items() if metric.better in ("high", "low")]
    networks = [name for name, kind in kinds.items() if kind in verdict.NETWORKS]
    return Conclusions(
        headline=verdict.headline({name: verdicts[name] for name in networks}),
        kinds=kinds,
        verdicts=verdicts,
        intervals={
            name: {key: intervals.interval(v) for key, v in of_method.items()}
            for name, of_method in values.items()
        },
        compared={
            name: {
                other: {p: intervals.compare(values[name][p], values[other][p]) for p in tested}
                for other in AGAINST
                if other in overall and other != name
            }
            for name in networks
        },
    )


def headline(names: Sequence[str], found: Sequence[Conclusions]) -> str:
    """Which networks fail, and of several noise levels at which; found: of each name."""
    if len(found) == 1:
        return found[0].headline
    parts = []
    for network in found[0].verdicts:
        if found[0].kinds[network] not in verdict.NETWORKS:
            continue
        at: dict[str, list[str]] = {}
        for name, of in zip(names, found, strict=True):
            at.setdefault(verdict.outcome(of.verdicts[network]), []).append(name)
        said = [
            f"{outcome} at {'every level' if len(where) == len(names) else ' and '.join(where)}"
            for outcome, where in sorted(at.items(), key=lambda of: not of[0].startswith("fails"))
        ]
        parts.append(f"{network} {', '.join(said)}")
    return "; ".join(parts or ["no network was judged"]) + "."
