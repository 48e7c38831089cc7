"""Watch a scan go through a network slice by slice: measure some, keep three for the preview."""

from collections.abc import Callable, Iterable

import numpy as np

from srgan.dataset.select_slices import pixels_sha256
from srgan.enhancement import scan_trust, trust
from srgan.enhancement.preview import Pane
from srgan.enhancement.scan_trust import ScanTrust
from srgan.enhancement.slice_function import Use
from srgan.enhancement.trust import SliceTrust
from srgan.formats.scan import Scan
from srgan.lowdose.degradation import Degradation
from srgan.masks import has_body
from srgan.system.checksums import sha256_of_text
from srgan.training.manifest import NoiseRange

SHOWN_AT = (0.25, 0.5, 0.75)  # of the scan


class Watch:
    """What is known of a scan so far. Slices come in any order, from one thread."""

    def __init__(self, n: int, use: Use, degradation: Degradation):
        self.use, self.degradation, self.n = use, degradation, n
        self.sampled = frozenset(trust.sampled(n))
        self.found: dict[int, SliceTrust] = {}
        self.shown: dict[float, tuple[tuple, Pane]] = {}  # place in the scan to its best slice
        self.pixels: set[str] = set()  # SHA-256 of each slice

    def see(self, index: int, hu_in: np.ndarray, hu_out: np.ndarray) -> None:
        """A slice and what the network made of it, as the network's function takes and gives it."""
        self.pixels.add(pixels_sha256(hu_in))
        if index not in self.sampled:
            return
        self.found[index] = trust.of_slice(hu_in, hu_out, self.use, self.degradation)
        for place in SHOWN_AT:
            rank = (not has_body(hu_in), abs(index + 0.5 - place * self.n))
            taken = {pane.index for p, (_, pane) in self.shown.items() if p != place}
            if index not in taken and (place not in self.shown or rank < self.shown[place][0]):
                pane = Pane(index, hu_in.copy(), hu_out, self.found[index].noise_hu)
                self.shown[place] = (rank, pane)

    def panes(self) -> list[Pane]:
        """The slices for the preview, in the order of the scan; fewer in a short scan."""
        return sorted((pane for _, pane in self.shown.values()), key=lambda pane: pane.index)

    def trust(
        self, scan: Scan, trained: NoiseRange | None, has_seen: Callable[[Iterable[str]], bool]
    ) -> ScanTrust:
        """trained: the noise of the training. has_seen: of names as dataset.store.known_by's."""
        names = {
            "patient": [f"patient:{each}" for each in patients_of(scan)],
            "series": [f"series:{sha256_of_text(scan.series_uid)}"],
            "pixels": [f"pixels:{each}" for each in sorted(self.pixels)],
        }
        seen = [kind for kind, of_kind in names.items() if has_seen(of_kind)]
        return scan_trust.of(list(self.found.values()), trained, seen)


def patients_of(scan: Scan) -> set[str]:
    """The ids of the patient: DICOM's; of a volume its name, by which a training knows it too."""
    return {*scan.patient_ids, scan.series_uid} if scan.is_volume else {*scan.patient_ids}
