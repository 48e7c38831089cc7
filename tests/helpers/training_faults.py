"""Faults in a training, for forked_runs.py: each function is called before the program starts."""

import numpy as np


def _nan_in(numbers) -> None:
    from srgan.training import batches

    usual = batches.dataset

    def dataset(slices, n, crop, degradation, seed, first, last):
        made = usual(slices, n, crop, degradation, seed, first, last)
        for k, (low, normal) in enumerate(made, first):
            yield (low * np.nan if k in numbers else low), normal

    batches.dataset = dataset


def a_few_nan_batches() -> None:
    _nan_in((7, 8, 9, 33))


def nan_batches_for_good() -> None:
    _nan_in(range(7, 1000))


def nan_at_the_full_rate() -> None:
    """From step 14 on the weights become NaN, as long as the learning rate is not lowered."""
    from srgan.training.trainer import Trainer

    usual = Trainer.set_rates

    def set_rates(self, plan, step, factor=1.0):
        rate = usual(self, plan, step, factor)
        if factor == 1.0 and step >= 14:
            self.generator_optimizer.learning_rate = np.nan
        return rate

    Trainer.set_rates = set_rates


def sigterm_at(step: int) -> None:
    """SIGTERM during this step; a line on stderr says when."""
    import os
    import signal
    import sys
    import time

    from srgan.training.trainer import Trainer

    usual = Trainer.set_rates

    def set_rates(self, plan, now, factor=1.0):
        if now == step:
            print(f"signal at {time.monotonic()}", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
        return usual(self, plan, now, factor)

    Trainer.set_rates = set_rates


def dead_discriminator() -> None:
    from srgan.models import discriminator
    from srgan.training import trainer

    usual = discriminator.build

    def build(form, crop, seed=0):
        model = usual(form, crop, seed)
        model.get_layer("logit").kernel.assign(np.zeros(model.get_layer("logit").kernel.shape))
        return model

    discriminator.build, trainer.DISCRIMINATOR_RATE = build, 0.0


def constant_generator() -> None:
    import dataclasses

    import keras

    from srgan.models.generator import FORMS

    usual = FORMS["fast"]

    def fast(scale, initial):
        model = usual.build(scale, initial)
        flat = keras.layers.Rescaling(0.0, -0.5, dtype="float32")(model.output)
        return keras.Model(model.input, flat)

    FORMS["fast"] = dataclasses.replace(usual, build=fast)


def unwritable_pictures_and_log() -> None:
    import errno

    from srgan.system import files
    from srgan.training import log_csv, train_folder

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    train_folder.figure_to_png = full
    log_csv.write_csv = full
    assert files.write_csv is not full


def _slow(where, name: str, when=lambda *arguments: True) -> None:
    import sys
    import time

    usual = getattr(where, name)

    def slow(*arguments):
        if when(*arguments):
            print("now it is slow", file=sys.stderr, flush=True)
            time.sleep(600)
        return usual(*arguments)

    setattr(where, name, slow)


def slow_store() -> None:
    from srgan.dataset import build_store

    _slow(build_store, "open_or_build")


def slow_compile() -> None:
    """The first step of the GAN, which is traced then, is slow."""
    from srgan.training.trainer import Trainer

    _slow(Trainer, "_gan")


def slow_plan() -> None:
    """Tracing of a step that is timed is slow, and loses exceptions as a callback may."""
    from contextlib import suppress

    from srgan.training.trainer import Trainer

    _slow(Trainer, "_pretrain")
    slow = Trainer._pretrain

    def lost(*arguments):
        with suppress(BaseException):
            return slow(*arguments)
        raise ValueError("the signal was lost")

    Trainer._pretrain = lost


def slow_steps() -> None:
    from srgan.training.trainer import Trainer

    _slow(Trainer, "set_rates", lambda trainer, plan, step, factor: step == 13)


def constant_rate() -> None:
    """Learning rates without the cosine: those of any two plans agree."""
    from srgan.training import trainer

    trainer.cosine = lambda share: 1.0


def _limit_address_space(room_mb: int) -> None:
    """From here on this process may take so much more."""
    import resource
    from pathlib import Path

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (room_mb << 20), resource.RLIM_INFINITY))


def address_space(room_mb: int) -> None:
    _limit_address_space(room_mb)


def _in_trainer(names: tuple[str, ...], step: int, fault) -> None:
    """`fault` comes before what these attributes of the trainer do, in this step of the run."""
    from srgan.training.trainer import Trainer

    made, usual = Trainer.__post_init__, Trainer.set_rates

    def set_rates(self, plan, now, factor=1.0):
        self.now = now
        return usual(self, plan, now, factor)

    def post_init(self):
        made(self)
        for name in names:
            setattr(self, name, faulty(self, getattr(self, name)))

    def faulty(trainer, do):
        def before(*arguments):
            if getattr(trainer, "now", 0) == step:
                fault()
            return do(*arguments)

        return before

    Trainer.__post_init__, Trainer.set_rates = post_init, set_rates


def _ask_tensorflow_for_much() -> None:
    import tensorflow as tf

    _limit_address_space(100)
    tf.zeros((10**5, 10**5))


def _abort() -> None:
    import os

    _limit_address_space(100)
    os.abort()


def short_step(step: int) -> None:
    _in_trainer(("pretrain_step", "gan_step"), step, _ask_tensorflow_for_much)


def short_validation(step: int) -> None:
    _in_trainer(("enhance",), step, _ask_tensorflow_for_much)


def aborted_step(step: int) -> None:
    _in_trainer(("pretrain_step", "gan_step"), step, _abort)


def short_store() -> None:
    from srgan.dataset import build_store

    def open_or_build(paths):
        _limit_address_space(100)
        np.ones(10**9)

    build_store.open_or_build = open_or_build


def short_test() -> None:
    from srgan.evaluation import study

    def run(*arguments):
        _limit_address_space(100)
        np.ones(10**9)

    study.run = run
