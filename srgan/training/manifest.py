"""What a checkpoint's manifest says: is every part of it of the kind that is read later?

Its SHA-256 finds damage. A manifest of other hands has a right one, too.
"""

import dataclasses
import math

from srgan.training.health import Guard
from srgan.training.plan import Plan
from srgan.training.validation import COLUMNS

VGG_WEIGHTS = ("imagenet", "random", "none", "file")  # networks.vgg_file.VggWeights.mode
MODELS = {"srresnet", "srgan"}
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")  # of Keras


def wrong_part(manifest: dict) -> str | None:
    """The first part that is missing or is not what was written into it."""
    checks = {
        "version": lambda part: _are_texts([part]),
        "settings": lambda part: isinstance(part, dict) and {"generator", "scale"} <= part.keys(),
        "degradation": lambda part: isinstance(part, dict),
        "vgg_weights": lambda part: part in VGG_WEIGHTS,
        "data": _is_data,
        "plan": _is_plan,
        "step": _is_count,
        "best": _is_best,
    }
    if "precision" in manifest:
        checks["precision"] = lambda part: part in POLICIES
    if manifest.get("vgg_sha256") is not None:  # of a file alone
        checks["vgg_sha256"] = lambda part: _are_texts([part])
    if "guard" in manifest:  # and log: of a state alone
        checks["guard"] = _is_guard
    if "log" in manifest:
        checks["log"] = _is_log
    for name, is_right in checks.items():
        if name not in manifest or not is_right(manifest[name]):
            return name
    return None


def _is_number(value) -> bool:
    ok = isinstance(value, int | float) and not isinstance(value, bool)
    return ok and abs(value) < 1e15 and math.isfinite(value)


def _is_count(value) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


def _are(kind: type, values) -> bool:
    return all(isinstance(value, kind) for value in values)


def _are_texts(values) -> bool:
    """On one line, and what can be written: JSON may hold half of a character."""
    return all(isinstance(value, str) and value.isprintable() for value in values)


def _is_data(data) -> bool:
    return (
        isinstance(data, dict)
        and _are_texts([data.get("salt")])
        and isinstance(data.get("synthetic"), bool)
        and isinstance(data.get("seen"), list)
        and _are_texts(data["seen"])
        and _is_count(data.get("patients", 0))
        and isinstance(slices := data.get("slices", {}), dict)
        and all(map(_is_count, slices.values()))
    )


def _is_plan(plan) -> bool:
    names = {f.name for f in dataclasses.fields(Plan)}
    return (
        isinstance(plan, dict)
        and plan.keys() <= names
        and _is_count(plan.get("pretrain_steps"))
        and _is_count(plan.get("gan_steps"))
        and plan["pretrain_steps"] + plan["gan_steps"] > 0
        and _is_number(cost := plan.get("gan_cost", 1))
        and cost > 0
    )


def _is_best(best) -> bool:
    return (
        isinstance(best, dict)
        and best.keys() <= MODELS
        and _are(dict, best.values())
        and all({"step", "score"} <= kept.keys() for kept in best.values())
        and all(_is_count(kept["step"]) for kept in best.values())
        and all(_is_number(value) for kept in best.values() for value in kept.values())
    )


def _is_guard(guard) -> bool:
    names = {f.name for f in dataclasses.fields(Guard)}
    return (
        isinstance(guard, dict)
        and guard.keys() <= names
        and all(_is_count(value) for name, value in guard.items() if name != "warnings")
        and isinstance(warnings := guard.get("warnings", []), list)
        and _are(dict, warnings)
        and all({"step", "kind", "text"} <= warning.keys() for warning in warnings)
        and all(_are_texts((warning["kind"], warning["text"])) for warning in warnings)
    )


def _is_log(log) -> bool:
    return (
        isinstance(log, dict)
        and isinstance(log.get("rows"), list)
        and _are(dict, log["rows"])
        and all(row.keys() <= set(COLUMNS) and _are_texts(row.values()) for row in log["rows"])
        and isinstance(log.get("sums"), dict)
        and log["sums"].keys() <= set(COLUMNS)
        and _are(float, log["sums"].values())
        and all(map(math.isfinite, log["sums"].values()))  # however large
        and _is_count(log.get("applied"))
        and _is_count(log.get("skipped"))
    )
