"""What a run starts from: nothing, a state of its own, or the model of another run."""

from dataclasses import dataclass, field

from srgan.training.checkpoint_folder import Saved
from srgan.training.checkpoint_models import Trained
from srgan.training.manifest import Origin, SeenData


@dataclass(frozen=True)
class Start:
    """What a run starts from, beside its settings and scans."""

    data: SeenData
    saved: Saved | None = None  # a state to resume from
    changed: dict[str, str] = field(default_factory=dict)  # resume.changes: its plan is made anew
    origin: Origin | None = None  # of a new run: the model that it begins with
    trained: Trained | None = None  # which holds that model
