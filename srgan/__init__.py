"""SRGAN for low-dose chest CT: a network that turns a low-dose slice into a normal-dose one.

    import srgan

    enhance = srgan.load("checkpoint")  # what --run train wrote
    hu = enhance(low_dose_hu)  # (h, w) to (scale*h, scale*w), in HU

`load` is explained by help(srgan.load). `Scanner` and `low_dose` insert the noise of a lower dose
into a slice. All three are imported when they are first used: `import srgan` is quick.
"""

import logging
from importlib import import_module

__version__ = "0.1.0"
__all__ = ["Scanner", "load", "low_dose"]

_MODULES = {
    "Scanner": "srgan.lowdose.scanner",
    "load": "srgan.enhancement.library",
    "low_dose": "srgan.lowdose.projection_noise",
}

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent, unless logging is set up


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
