"""One training: what it works on, how far it is, and how that is saved and restored."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import tensorflow as tf

from srgan.settings import Settings
from srgan.system.errors import UserError
from srgan.system.signals import Stop
from srgan.training import checkpoint_states, devices
from srgan.training.checkpoint_folder import Saved
from srgan.training.health import Health
from srgan.training.log_csv import Log
from srgan.training.manifest import BestModel, Manifest
from srgan.training.plan import Plan
from srgan.training.train_folder import TrainFolder
from srgan.training.trainer import Trainer
from srgan.training.validation import Validation
from srgan.training.waiting import Waiting
from srgan.training.workers import Workers


@dataclass
class Run:
    """The fields without a default are set up once; the others change with every step."""

    settings: Settings
    trainer: Trainer
    batches: Callable[[int, int], tf.data.Dataset]  # the batches first <= k < last
    validation: Validation
    folder: TrainFolder
    first_manifest: Manifest  # of step 0
    stop: Stop
    workers: Workers | None = None  # the others that train with this process
    step: int = 0
    saved_step: int = 0  # of the last state on disk
    best: dict[str, BestModel] = field(default_factory=dict)  # by model
    health: Health = field(default_factory=Health)
    log: Log = field(default_factory=Log)
    waiting: Waiting = field(default_factory=Waiting)

    @property
    def is_chief(self) -> bool:
        """Does this process write, validate and decide? One that trains alone does."""
        return devices.is_chief(self.workers)

    def stops(self) -> bool:
        """Has a signal come, to this worker or another? All stop after the same step."""
        if self.workers is None:
            return self.stop.number != 0
        return self.workers.stops_here(self.stop.number)

    @property
    def plan(self) -> Plan:
        return self.first_manifest.plan

    def manifest(self) -> Manifest:
        """What a model that is saved now says."""
        return dataclasses.replace(
            self.first_manifest,
            step=self.step,
            best=self.best,
            health=self.health,
            waiting=self.waiting,
        )

    def save(self) -> None:
        """Save a state to resume from; the chief does. Raises UserError (no space, read-only)."""
        self.saved_step = self.step
        if not self.is_chief:
            return
        manifest = dataclasses.replace(self.manifest(), log=self.log)
        checkpoint_states.save(self.settings.checkpoint_dir, self.trainer.state(), manifest)

    def extend(self) -> None:
        """From here on the state that it goes on from has this run's plan. Raises UserError."""
        if not self.is_chief:
            return
        manifest = dataclasses.replace(self.manifest(), log=self.log)
        checkpoint_states.extend(self.settings.checkpoint_dir, manifest)

    def restore(self, saved: Saved) -> None:
        """Go on from a state, which the chief reads; what was saved after it is set aside.

        saved: the same on every worker. Raises UserError where the state does not fit.
        """
        manifest = saved.manifest
        if self.is_chief:
            self._read(saved)
        devices.share_variables(self.workers, self.trainer.variables())
        self.step = self.saved_step = manifest.step
        self.best, self.health, self.log = manifest.best, manifest.health, manifest.log
        self.waiting = manifest.waiting or Waiting()

    def _read(self, saved: Saved) -> None:
        manifest = saved.manifest
        if manifest.log is None:
            raise UserError(f"{saved.path} holds no log: add --fresh to start anew")
        variables = self.trainer.state()
        if "discriminator" in variables and not checkpoint_states.holds_discriminator(saved.path):
            del variables["discriminator"], variables["discriminator_optimizer"]
        checkpoint_states.restore(saved.path, variables)
        checkpoint_states.set_later_aside(self.settings.checkpoint_dir, manifest.step)
