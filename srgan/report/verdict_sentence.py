"""The verdict in one plain sentence for each network: its gain on its input, and what fails."""

from collections.abc import Sequence

from srgan.evaluation.baselines import INPUT, input_of
from srgan.evaluation.checks import Finding
from srgan.evaluation.conclusions import MAIN_METRIC
from srgan.evaluation.level import Level

NAMES = {"srgan": "SRGAN", "srresnet": "SRResNet"}  # as their papers write them


def verdict_sentences(levels: Sequence[Level]) -> list[str]:
    """SRGAN: +7.4 dB over bicubic in the lung window, no check failed.

    GANs come first. Over several noise levels a sentence gives the range of the gain, and names
    the levels at which a check fails.
    """
    found = levels[0].conclusions
    networks = sorted(found.networks, key=lambda name: found.kinds[name] != "gan")
    return [_sentence(name, levels) for name in networks] or ["No network was evaluated."]


def _sentence(network: str, levels: Sequence[Level]) -> str:
    first, *letter = network.split(" ")  # "srgan B"
    name = " ".join([NAMES.get(first, first), *letter])
    over = input_of(levels[0].conclusions.kinds)
    gain = _gain([_gain_db(network, level, over) for level in levels], over)
    return f"{name}: {gain}, {_checks(network, levels)}."


def _gain_db(network: str, level: Level, over: str) -> float | None:
    """The mean difference of PSNR over patients; None where it was not measured."""
    compared = level.conclusions.compared.get(network, {}).get(over, {})
    return compared[MAIN_METRIC].difference.mean if MAIN_METRIC in compared else None


def _gain(gains_db: Sequence[float | None], over: str) -> str:
    where = f"{'the input' if over == INPUT else over} in the lung window"
    known = sorted(gain for gain in gains_db if gain is not None)
    if not known:
        return f"PSNR was not compared with {where}"
    low, high = known[0], known[-1]
    if high < 0:
        return f"{_range(-high, -low, '')} dB below {where}"
    return f"{_range(low, high, '+')} dB {'over' if low >= 0 else 'against'} {where}"


def _range(low: float, high: float, sign: str) -> str:
    shown = [f"{value:{sign}.{1 if abs(value) >= 1 else 2}f}" for value in (low, high)]
    return shown[0] if shown[0] == shown[1] else " to ".join(shown)


def _checks(network: str, levels: Sequence[Level]) -> str:
    """What fails, and of several levels at which."""
    at: dict[str, list[str]] = {}  # what fails, to the names of the levels
    unchecked = False
    for level in levels:
        findings = level.conclusions.findings[network]
        unchecked |= any(finding.kind == "not checked" for finding in findings)
        if failed := failed_checks(findings):
            at.setdefault(failed, []).append(level.name)
    if not at:
        said = "no check failed"
    elif len(levels) == 1:
        said = f"fails: {failed}"
    else:
        said = "fails " + " and ".join(f"{_where(at[f], levels)} ({f})" for f in at)
    return f"{said}; some checks could not be made" if unchecked else said


def _where(names: list[str], levels: Sequence[Level]) -> str:
    return "at every level" if len(names) == len(levels) else f"at {' and '.join(names)}"


def failed_checks(findings: Sequence[Finding]) -> str:
    """What fails: "inventing, bias (lung, bone)"; empty where nothing does."""
    kinds = ", ".join(finding.kind for finding in findings if finding.fails)
    return kinds.replace("), bias (", ", ")
