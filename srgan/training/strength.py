"""Strength: how far a network goes from the SRResNet (0) to the SRGAN (1) of a checkpoint.

Between them its weights are a mixture of both: one pass, as fast as either. On validation slices
this was as good as a mixture of the two pictures (docs/evaluation.md).
"""

import logging

from srgan.system.errors import UserError
from srgan.training.checkpoint_models import Trained
from srgan.training.manifest import MODELS
from srgan.training.model_card import TITLES

log = logging.getLogger(__name__)


def method_name(strength: float) -> str:
    """ "srresnet" of 0, "srgan" of 1, between them "srgan 0.5"."""
    return {0: "srresnet", 1: "srgan"}.get(strength, f"srgan {strength:g}")


def models_of(strength: float) -> tuple[str, ...]:
    """The names of the models that a strength is made of."""
    return {0: MODELS[:1], 1: MODELS[1:]}.get(strength, MODELS)


def weights_of(trained: Trained, strength: float) -> dict[str, str]:
    """By model that a strength is made of, the SHA-256 of its weights."""
    return {name: trained.sha256[name] for name in models_of(strength)}


def checked(trained: Trained, strength: float | None) -> float:
    """The strength that a checkpoint gives: as asked, or for None the highest that it has.

    That is 1, or 0 where there is no SRGAN, which is said. Raises UserError where a model that an
    asked strength needs is missing.
    """
    if strength is None:
        if "srgan" in trained.models:
            return 1.0
        log.info("the checkpoint has no SRGAN: its SRResNet is used, which is --strength 0")
        return 0.0
    missing = [name for name in models_of(strength) if name not in trained.models]
    if missing:
        there = next(iter(trained.models))
        raise UserError(
            f"--strength {strength:g} needs the {TITLES[missing[0]]}, which the checkpoint does "
            f"not have: give --strength {MODELS.index(there)} for its {TITLES[there]}, or train on"
        )
    return strength


def network(trained: Trained, strength: float):
    """The Keras network of a strength from 0 to 1: at its ends exactly the two models.

    Raises UserError where a model is missing or its weights do not fit.
    """
    first, *second = [trained.network(name) for name in models_of(checked(trained, strength))]
    if not second:
        return first
    from srgan.models import generator, mixture

    mixed = generator.build(trained.settings["generator"], trained.settings["scale"])
    mixture.mix(mixed, first, *second, strength)
    return mixed
