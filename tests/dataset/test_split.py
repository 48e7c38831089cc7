"""Roles of patients, and how many slices each scan gives."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srgan.dataset import slice_quotas
from srgan.dataset.slice_quotas import evenly_spaced, hash_order
from srgan.dataset.split import assign_roles
from srgan.formats.scan import Scan, Slice


def scan(patient: str, n: int, series: str = "") -> Scan:
    path = Path(f"{series or patient}.mhd")
    slices = tuple(Slice(path, i) for i in range(n))
    return Scan("metaimage", series or patient, patient, slices, 64, 64, (1.0, 1.0), (path,))


def sums(scans, roles) -> dict[str, int]:
    """Slices of each part of the split."""
    total = {"train": 0, "held out": 0}
    for s, quota in zip(scans, slice_quotas.of_scans(scans, roles), strict=True):
        total["train" if roles[s.patient_id] == "train" else "held out"] += quota
    return total


def luna16(seed: int = 0, scans_a_patient: int = 1) -> list[Scan]:
    rng = random.Random(seed)
    return [
        scan(f"patient {i // scans_a_patient}", rng.randint(8, 60), f"1.2.{i}") for i in range(888)
    ]


@pytest.mark.parametrize("scans_a_patient", [1, 2, 3])
def test_888_scans_give_exactly_3335_and_2000(scans_a_patient):
    scans = luna16(scans_a_patient=scans_a_patient)
    roles = assign_roles(scans)
    assert sums(scans, roles) == {"train": 3335, "held out": 2000}
    held = [s for s in scans if roles[s.patient_id] != "train"]
    if scans_a_patient == 1:
        assert len(held) == 333
        by_scan = sorted(slice_quotas.of_scans(scans, roles))
        assert by_scan == [6] * 881 + [7] * 7
    of_validation = sum(
        q
        for s, q in zip(scans, slice_quotas.of_scans(scans, roles), strict=True)
        if roles[s.patient_id] == "validation"
    )
    assert 180 <= of_validation <= 200


def test_nothing_depends_on_file_order():
    scans = luna16()
    roles, quotas = assign_roles(scans), slice_quotas.of_scans(scans, assign_roles(scans))
    by_uid = {s.series_uid: q for s, q in zip(scans, quotas, strict=True)}
    for seed in range(3):
        mixed = random.Random(seed).sample(scans, len(scans))
        assert assign_roles(mixed) == roles
        again = slice_quotas.of_scans(mixed, roles)
        assert {s.series_uid: q for s, q in zip(mixed, again, strict=True)} == by_uid


def test_slices_that_a_short_scan_lacks_come_from_the_next():
    scans = [scan(f"p{i}", 2 if i % 5 == 0 else 40) for i in range(888)]
    roles = assign_roles(scans)
    assert sums(scans, roles) == {"train": 3335, "held out": 2000}
    assert max(slice_quotas.of_scans(scans, roles)) <= 9


def test_a_later_patient_moves_only_patients_at_the_cut():
    scans = luna16()
    before, after = assign_roles(scans), assign_roles([*scans, scan("one more", 100)])
    moved = [p for p in before if (before[p] == "train") != (after[p] == "train")]
    assert len(moved) <= 1


def test_fewer_slices_than_wanted_are_all_used():
    scans = [scan(f"p{i}", 5 + i) for i in range(12)]
    assert slice_quotas.of_scans(scans, assign_roles(scans)) == [len(s.slices) for s in scans]


def test_a_split_of_halves_gives_halves():
    scans = [scan(f"p{i}", 100) for i in range(100)]
    roles = {f"p{i}": "train" if i % 2 else "test" for i in range(100)}
    total = sums(scans, roles)
    assert sum(total.values()) == 5335
    assert abs(total["train"] - total["held out"]) <= 1


def test_slices_that_one_part_of_the_split_lacks_come_from_the_other():
    scans = [scan("a", 6000), scan("b", 10)]
    assert slice_quotas.of_scans(scans, {"a": "train", "b": "test"}) == [5325, 10]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(1, 900), min_size=1, max_size=3), min_size=1, max_size=10))
def test_roles_of_small_datasets(patients):
    scans = [
        scan(f"p{i}", n, f"p{i} s{k}")
        for i, sizes in enumerate(patients)
        for k, n in enumerate(sizes)
    ]
    roles = assign_roles(scans)
    assert set(roles) == {s.patient_id for s in scans}
    expected = {"train", "validation", "test"} if len(patients) >= 3 else {"train"}
    assert set(roles.values()) == expected
    quotas = slice_quotas.of_scans(scans, roles)
    assert all(0 <= q <= len(s.slices) for q, s in zip(quotas, scans, strict=True))
    assert sum(quotas) == min(5335, sum(len(s.slices) for s in scans))


@settings(deadline=None)
@given(st.integers(1, 900), st.integers(0, 900))
def test_evenly_spaced_positions(n, quota):
    positions = evenly_spaced(n, quota)
    assert len(positions) == len(set(positions)) == min(n, quota)
    assert all(0 <= p < n for p in positions)
    steps = {b - a for a, b in pairwise(positions)}
    assert not steps or max(steps) - min(steps) <= 1


def test_hash_order_groups_patients():
    scans = sorted((scan(f"p{i % 3}", 4, f"s{i}") for i in range(9)), key=hash_order)
    assert len({s.patient_id for s in scans[:3]}) == 1
