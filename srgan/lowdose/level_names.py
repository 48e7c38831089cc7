"""What the noise levels of a test are called in tables, plots and file names."""

from collections.abc import Sequence

from srgan.lowdose.degradation import Degradation


def differing(degradations: Sequence[Degradation]) -> list[str]:
    """Names of the levels in which these degradations differ; all names where none does."""
    first, *others = [degradation.levels for degradation in degradations]
    return [n for n in first if any(levels[n] != first[n] for levels in others)] or list(first)


def short_name(name: str) -> str:
    """The word beside a level's value: dose, lambda or sigma."""
    return name.removeprefix("noise_")


def file_tag(degradation: Degradation, names: list[str]) -> str:
    """A level in a file name: dose0.25, or lambda1700-sigma0.005."""
    return "-".join(f"{short_name(name)}{degradation.levels[name]}" for name in names)


def level_titles(degradations: Sequence[Degradation]) -> list[str]:
    """What distinguishes each of several levels, such as "dose 0.25"; "" for a single one."""
    if len(degradations) < 2:
        return ["" for _ in degradations]
    names = differing(degradations)
    return [
        ", ".join(f"{short_name(name)} {degradation.levels[name]}" for name in names)
        for degradation in degradations
    ]


def column_head(degradation: Degradation, names: list[str]) -> str:
    """A level in the head of a table: 0.25, or 1700/0.005."""
    return "/".join(str(degradation.levels[name]) for name in names)
