"""What follows from a study: findings of the checks, intervals over patients, and paired tests."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

from srgan.evaluation import baselines, checks
from srgan.evaluation.checks import Finding
from srgan.evaluation.study import Study
from srgan.metrics import intervals, registry
from srgan.metrics.intervals import Comparison, Interval
from srgan.metrics.registry import value_at

KIND_OF = {
    "nearest": "enlargement",
    "bicubic": "enlargement",
    baselines.INPUT: "enlargement",
    baselines.NON_LOCAL_MEANS: "denoiser",
    baselines.NON_LOCAL_MEANS_ALONE: "denoiser",
}
AGAINST = ("bicubic", baselines.INPUT, "srresnet")
MAIN_METRIC = "psnr_db.lung"  # whose certainty is shown first


@dataclass(frozen=True)
class Conclusions:
    """Of a study at one noise level. A path is that of a value in the metrics: "psnr_db.lung"."""

    kinds: dict[str, str]  # method to one of checks.KINDS
    findings: dict[str, list[Finding]]  # by method
    intervals: dict[str, dict[str, Interval]]  # by method and path
    compared: dict[str, dict[str, dict[str, Comparison]]]  # by network, other method and path

    @property
    def networks(self) -> list[str]:
        """The methods that can fail."""
        return [name for name, kind in self.kinds.items() if kind in checks.NETWORKS]

    def fails(self, method: str) -> bool:
        return any(finding.fails for finding in self.findings[method])

    def as_json(self) -> dict:
        """For summary.json."""
        return {
            "bounds": checks.BOUNDS,
            "kinds": self.kinds,
            "verdicts": {m: [asdict(finding) for finding in of] for m, of in self.findings.items()},
            "interval": intervals.INTERVAL,
            "intervals": _dicts(self.intervals),
            "test": intervals.TEST,
            "compared": _dicts(self.compared),
        }


def _dicts(value):
    if isinstance(value, dict):
        return {name: _dicts(inner) for name, inner in value.items()}
    return asdict(value)


def of(study: Study, kinds: Mapping[str, str] | None = None) -> Conclusions:
    """Check every method, and compare each network with AGAINST.

    kinds: one of checks.KINDS by a method's name; `kind_of` guesses the others. There is an
    interval for every metric of the tables that patients have, and a test for those with a better
    end. Raises ValueError for an unknown kind, and for the kind of an unknown method.
    """
    for name, kind in (kinds or {}).items():
        if name not in study.methods or kind not in checks.KINDS:
            known = f"methods {', '.join(study.methods)}; kinds {', '.join(checks.KINDS)}"
            raise ValueError(f"no kind {kind!r} of {name!r} ({known})")
    overall, by_patient = study.overall(), study.by_patient()
    kinds = {name: kind_of(name, kinds) for name in overall}
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
    networks = [name for name, kind in kinds.items() if kind in checks.NETWORKS]
    return Conclusions(
        kinds=kinds,
        findings=_findings(study, overall, kinds),
        intervals={
            name: {path: intervals.interval(v) for path, v in of_method.items()}
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


def _findings(study: Study, overall: dict, kinds: dict[str, str]) -> dict[str, list[Finding]]:
    name = baselines.input_of(overall)
    others = {
        "bicubic": overall.get(name, {}),
        "input_name": "the input" if name == baselines.INPUT else name,
        "normal_dose": study.normal_dose_overall(),
    }
    return {
        name: checks.check(
            metrics,
            kinds[name],
            srresnet=overall.get(_srresnet_of(name, kinds[name], overall)),
            **others,
        )
        for name, metrics in overall.items()
    }


def kind_of(method: str, kinds: Mapping[str, str] | None = None) -> str:
    """The kind of a method: as given, or by its name; an unknown one is a pixel network."""
    guess = KIND_OF.get(method, "gan" if method.startswith("srgan") else "pixel")
    return (kinds or {}).get(method, guess)


def _srresnet_of(method: str, kind: str, methods: Collection[str]) -> str | None:
    """What a network is compared with: "srgan 0.5 B" with "srresnet B", else the main SRResNet."""
    if kind not in checks.NETWORKS or method.startswith("srresnet"):
        return None
    letters = [word for word in method.split(" ")[1:] if word.isalpha()]  # no strength
    own = " ".join(["srresnet", *letters])
    return own if own in methods else "srresnet"
