"""SRGAN for low-dose chest CT: a network that turns a low-dose slice into a normal-dose one.

    import srgan

    network = srgan.load(scale=1)  # weights that ship; srgan.load("checkpoint"): your own
    scan = srgan.read_scan("patient7")  # a folder with a DICOM series, or a volume
    hu = srgan.enhance(network, scan.hu)  # (slices, rows, columns), in HU
    srgan.write_scan("enhanced", hu, scan, "SRGAN, denoised by a network")

help(srgan.load) and so on explain them. `Scanner` and `low_dose` insert the noise of a lower dose
into a slice. All are imported when they are first used: `import srgan` is quick.
"""

import logging
from importlib import import_module

__version__ = "0.1.0"
__all__ = ["Scanner", "enhance", "load", "low_dose", "read_scan", "write_scan"]

_MODULES = {
    "Scanner": "srgan.lowdose.scanner",
    "enhance": "srgan.enhancement.library",
    "load": "srgan.enhancement.library",
    "low_dose": "srgan.lowdose.projection_noise",
    "read_scan": "srgan.enhancement.library",
    "write_scan": "srgan.enhancement.library",
}

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent, unless logging is set up


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
