"""Write CT Image Storage slice by slice: a series that is derived from a DICOM series or a volume.

Uncompressed, Explicit VR Little Endian. A file is put together from encoded elements: those of the
source as they are, and new ones.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRLittleEndian

from srgan.formats.derived import SourceSlice
from srgan.formats.dicom import derived_header, explicit, new_series, stored
from srgan.formats.dicom.derived_header import Series
from srgan.formats.dicom.header import CT_IMAGE_STORAGE
from srgan.formats.volume_geometry import Geometry
from srgan.system.errors import Skip
from srgan.system.files import sync

PREAMBLE = bytes(128) + b"DICM"
PIXEL_DATA = 0x7FE00010


@dataclass(frozen=True)
class DicomTarget:
    """A series that is being written. It can be pickled; `write` may run in any process."""

    folder: Path
    series: Series
    geometry: Geometry | None = None  # of the new series, where the source is a volume

    def write(self, index: int, source: SourceSlice, new_hu: np.ndarray, how: str) -> None:
        """Write slice `index`: (enlargement*rows, enlargement*columns) HU.

        how: what was done. Raises OSError, and Skip where the source's header cannot be copied.
        """
        path = slice_file(self.folder, index)
        path.write_bytes(self.file(index, source, new_hu, how))
        sync(path)

    def file(self, index: int, source: SourceSlice, new_hu: np.ndarray, how: str) -> bytes:
        uid = derived_header.new_uid()
        if self.geometry:
            elements = new_series.elements(self.geometry, self.series, index, uid, how)
            words = stored.words(source, new_hu, new_series.LAYOUT)
        else:
            elements, words = self._derived(index, source, new_hu, uid, how)
        elements[PIXEL_DATA] = explicit.element(PIXEL_DATA, "OW", words.tobytes())
        return _meta(uid) + explicit.joined(elements)

    def finish(self, how: str) -> None:
        pass

    def _derived(self, index: int, source: SourceSlice, new_hu: np.ndarray, uid: str, how: str):
        header, dataset, _ = source.dicom
        is_enlarged = self.series.derived.enlargement > 1
        layout = stored.holding(header.pixel_data, is_enlarged)
        try:
            with warnings.catch_warnings():  # of pydicom, about what the source has
                warnings.simplefilter("ignore")
                elements = derived_header.elements(header, dataset, self.series, index, uid, how)
            elements |= explicit.new(stored.elements(new_hu.shape, header.pixel_data, layout))
        except Exception as error:  # of pydicom, whatever
            raise Skip("header cannot be copied", type(error).__name__) from None
        return elements, stored.words(source, new_hu, layout)


def slice_file(folder: Path, index: int) -> Path:
    return folder / f"{index + 1:04}.dcm"


def _meta(uid: str) -> bytes:
    """The preamble, and the file meta information of a slice."""
    values = {
        0x00020001: ("OB", b"\0\1"),
        0x00020002: ("UI", CT_IMAGE_STORAGE.encode()),
        0x00020003: ("UI", uid.encode()),
        0x00020010: ("UI", ExplicitVRLittleEndian.encode()),
        0x00020012: ("UI", PYDICOM_IMPLEMENTATION_UID.encode()),
    }
    group = b"".join(explicit.element(tag, *value) for tag, value in values.items())
    return PREAMBLE + explicit.element(0x00020000, "UL", len(group).to_bytes(4, "little")) + group
