"""SRGAN for low-dose chest CT: scans in, a trained network and honest figures out."""

import logging

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent, unless logging is set up
