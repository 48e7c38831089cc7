"""SRGAN for low-dose chest CT: scans in, a trained network and honest figures out."""

__version__ = "0.1.0"
