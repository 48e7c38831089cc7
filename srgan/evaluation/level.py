"""One noise level of a test: what was measured at it, and what follows from that."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from srgan.evaluation import conclusions
from srgan.evaluation.conclusions import Conclusions
from srgan.evaluation.nodule_study import NoduleStudy
from srgan.evaluation.study import Study
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.level_names import level_titles


@dataclass(frozen=True)
class Level:
    """name: "dose 0.25"; empty where a test has one level alone."""

    name: str
    degradation: Degradation
    study: Study
    nodules: NoduleStudy | None = None  # where nodules are annotated

    @cached_property
    def conclusions(self) -> Conclusions:
        return conclusions.of(self.study)

    @cached_property
    def overall(self) -> dict[str, dict]:
        """Each method's metrics on whole slices: the means over patients."""
        return self.study.overall()

    @cached_property
    def normal_dose(self) -> dict:
        """The metrics that the normal dose has by itself: the means over patients."""
        return self.study.normal_dose_overall()

    @property
    def at(self) -> str:
        """For the end of a caption: ", dose 0.25"."""
        return f", {self.name}" if self.name else ""

    @property
    def noise_remark(self) -> str:
        """The noise in words."""
        return self.degradation.noise.describe()


def levels_of(studies: Sequence[tuple[Degradation, Study]]) -> list[Level]:
    """A level for each study, named after what differs between their noise."""
    names = level_titles([degradation for degradation, _ in studies])
    return [Level(name, *each) for name, each in zip(names, studies, strict=True)]
