"""Whose each scan is: one patient may have several ids, and several patients may share one.

Scans of one series or of one study are one patient's, whatever ids their files have. What the table
of --patients says of a series comes before its files.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from srgan.formats.scan import Scan, Skipped
from srgan.system.errors import one_line

UNKNOWN = "unknown"
TABLE = "table "  # begins the key of a name in the table
SHOWN = 3  # patients with several ids that are named in a line


def name_patients(
    scans: Sequence[Scan], table: dict[str, str], required: bool
) -> tuple[list[Scan], list[Skipped], list[str]]:
    """The scans with their patient_id, the files of scans without one, and lines for the user.

    table: series UID to patient. A volume that no table names belongs to the patient of the DICOM
    series with its UID, else to the one whose id its name is or begins with, else to a patient of
    its own, named as its UID. required: skip DICOM scans without a patient, which otherwise get
    UNKNOWN.
    """
    ids = {each for scan in scans for each in scan.patient_ids}
    names = _names([_with_id(scan, ids) for scan in scans], table)
    named, skipped = [], []
    for scan, patient in zip(scans, names, strict=True):
        if patient or not required:
            named.append(replace(scan, patient_id=patient or UNKNOWN))
        else:
            detail = one_line(f"name the patient of series {scan.series_uid} with --patients", 1000)
            skipped += [Skipped(path, "no PatientID", detail) for path in scan.files]
    return named, skipped, _lines([scan for scan in named if scan.series_uid not in table])


def without_words(name: str, ids: Collection[str]) -> str:
    """The id among `ids` that `name` begins with, where words follow it; else `name`.

    `chest_2` is no copy of `chest`: only words are added to a copy's name.
    """
    for match in re.finditer(r"(?<=\d)[ _-](?=.*[^\W\d_])", name):
        if name[: match.start()] in ids:
            return name[: match.start()]
    return name


def _with_id(scan: Scan, ids: Collection[str]) -> Scan:
    """A volume named as a patient among `ids`, perhaps with words after it, has that id."""
    if scan.patient_ids or not scan.is_volume:
        return scan
    name = without_words(scan.series_uid, ids)
    return replace(scan, patient_ids=(name,)) if name in ids else scan


def _names(scans: Sequence[Scan], table: dict[str, str]) -> list[str | None]:
    """The patient of each scan, or None: the least name among all that are joined with it.

    Joined are the keys of a scan: its series, its name in the table, its studies, and its files'
    ids where the table does not name it; in this order, and never two names of the table. An id
    or a study that the table gives two patients (ANONYMOUS) joins nobody.
    """
    owners: dict[str, set[str]] = {}  # of a file's id or study: patients by the table
    for scan in scans:
        if patient := table.get(scan.series_uid):
            for key in _ids(scan) + _studies(scan):
                owners.setdefault(key, set()).add(patient)
    pairs = set()
    for scan in scans:
        series, patient = "series " + scan.series_uid, table.get(scan.series_uid)
        studies, ids = (
            [key for key in keys if len(owners.get(key, ())) < 2]
            for keys in (_studies(scan), _ids(scan))
        )
        if patient:
            pairs.add((0, series, TABLE + patient))
        elif not any(owners.get(key) for key in studies + ids):
            ids = _ids(scan)  # the table says nothing of this scan
        pairs |= {(1, series, key) for key in studies} | {(2, series, key) for key in ids}
    groups = _Groups(["series " + scan.series_uid for scan in scans])
    for _, series, key in sorted(pairs):
        groups.join(series, key)
    named: dict[str, list[str]] = {}
    for key in groups.keys_so_far():
        named.setdefault(groups.root(key), []).append(key)
    names = {root: _name(keys) for root, keys in named.items()}
    return [
        names[groups.root("series " + scan.series_uid)]
        or (scan.series_uid if scan.is_volume else None)
        for scan in scans
    ]


def _ids(scan: Scan) -> list[str]:
    return ["id " + each for each in scan.patient_ids]


def _studies(scan: Scan) -> list[str]:
    return ["study " + each for each in scan.study_uids]


def _name(keys: Iterable[str]) -> str | None:
    """A name of the table, else an id of the files, among keys that are joined."""
    for kind in (TABLE, "id "):
        if found := [key.removeprefix(kind) for key in keys if key.startswith(kind)]:
            return min(found)
    return None


class _Groups:
    """Sets of keys that are joined (union-find), each with one name of the table at most."""

    def __init__(self, keys: Iterable[str]):
        self._parents = {key: key for key in keys}

    def keys_so_far(self) -> list[str]:
        return list(self._parents)

    def root(self, key: str) -> str:
        self._parents.setdefault(key, key)
        while self._parents[key] != key:
            self._parents[key] = key = self._parents[self._parents[key]]
        return key

    def join(self, key: str, other: str) -> None:
        """Nothing is joined that has two names of the table."""
        roots = sorted(map(self.root, (key, other)), key=lambda r: not r.startswith(TABLE))
        if not all(root.startswith(TABLE) for root in roots):
            self._parents[roots[1]] = roots[0]  # a name of the table stays the root


def _lines(scans: Iterable[Scan]) -> list[str]:
    """One line that names patients with several ids in the files, if there are any."""
    ids: dict[str, set[str]] = {}
    for scan in scans:
        ids.setdefault(scan.patient_id, set()).update(scan.patient_ids)
    several = [" = ".join(sorted(each)) for _, each in sorted(ids.items()) if len(each) > 1]
    if not several:
        return []
    shown = ", ".join(several[:SHOWN]) + (", ..." if len(several) > SHOWN else "")
    n = "1 patient has" if len(several) == 1 else f"{len(several)} patients have"
    return [f"{n} several PatientIDs within a study or series: {one_line(shown, 300)}"]
