"""The patients to test on: those that no checkpoint was trained or validated on."""

import logging

from srgan.commands.open_store import is_usable
from srgan.commands.study_slices import SMALLEST
from srgan.dataset.store import Record, Store, known_by
from srgan.settings import Settings
from srgan.system.errors import UserError
from srgan.training.checkpoint_models import Trained

log = logging.getLogger(__name__)


def held_out(checkpoints: dict[str, Trained], store: Store, settings: Settings) -> list[int]:
    """Indices of the slices of patients that no checkpoint was trained or validated on.

    One known id, series or slice is enough to leave a patient out. With --split only its test
    patients are tested, and of synthetic chests those that a training of them would hold out, so
    that all networks are tested on the same. Raises UserError if no patient is left.
    """
    seen, only_test = seen_by(checkpoints, store), settings.split is not None or store.synthetic
    left = [
        i
        for i, record in enumerate(store.records)
        if record.pseudonym not in seen
        and (not only_test or record.role == "test")
        and is_usable(record, settings, SMALLEST)
    ]
    if not left:
        rest = "no other is in the role test of --split" if settings.split else "no other is there"
        everyone = {r.pseudonym for r in store.records}
        raise UserError(
            f"no patient in {settings.scans} is left to test on: {len(seen)} of {len(everyone)} "
            f"were trained or validated on, and {rest}; name a folder with other patients"
        )
    return left


def is_seen(trained: Trained, store: Store, record: Record) -> bool:
    """Was the checkpoint trained or validated on this slice's patient, series or pixels?"""
    return trained.has_seen(known_by(record, store.patients))


def seen_by(checkpoints: dict[str, Trained], store: Store) -> set[str]:
    """Pseudonyms of the patients that any checkpoint has seen; logs how many they are."""
    of = {
        letter: {r.pseudonym for r in store.records if is_seen(trained, store, r)}
        for letter, trained in checkpoints.items()
    }
    seen = set().union(*of.values())
    if seen:
        by = ", ".join(f"{len(known)} by {letter}" for letter, known in of.items())
        log.info(
            f"{len(seen)} of {len({r.pseudonym for r in store.records})} patients were trained or "
            f"validated on{f' ({by})' if len(of) > 1 else ''} and are left out"
        )
    return seen
