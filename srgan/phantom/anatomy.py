"""The shape of a synthetic chest: the patient, the rib cage, the heart and the lungs.

Millimetres of a standard patient: x to the patient's left, y to the back, z to the feet. u = z /
lung length runs from 0 at the apex to 1 at the base; most sizes are tables over u.
"""

from dataclasses import dataclass

import numpy as np

from srgan.phantom.drawing import ellipse, section, union

LEVELS = (0.0, 0.08, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)
LUNG_X = (42, 46, 52, 58, 62, 65, 66, 66)  # centre of each lung's ellipse
LUNG_A = (16, 30, 48, 62, 68, 72, 73, 72)  # half width
LUNG_B = (18, 36, 62, 82, 92, 96, 96, 94)  # half depth
LUNG_Y = (22, 16, 8, 3, 0, 0, 0, 2)
FRONT_A = (12, 18, 36, 50, 58, 62, 62, 60)  # the part of the cage behind the sternum
MEDIASTINUM = (34, 31, 27, 25, 24, 22, 21, 20)  # half width


@dataclass(frozen=True)
class Patient:
    """What differs from patient to patient; `chest` draws it at random."""

    length: float  # of the lungs, mm
    fat: float  # under the skin, mm
    breast: float  # size, 0 to 1
    rib_phase: float
    rib_slope: float  # how far a rib falls towards the front
    dome: float  # u of the top of the right half of the diaphragm
    heart: float  # size, about 1
    aorta: float  # size, about 1
    lung_hu: float
    gravity: float  # HU from front to back of the lung
    blood_hu: float
    muscle_hu: float
    fat_hu: float
    liver_hu: float
    cortex_hu: float
    marrow_hu: float
    fissure: tuple[float, float]
    couch: tuple[float, float, float]  # y of its top, curvature, HU


def at_level(u, values):
    """A table over LEVELS, at the height u or at many."""
    value = np.interp(u, LEVELS, values)
    return value if np.ndim(value) else float(value)


def _at_least(q, low=0.02):
    return np.maximum(q, low) if np.ndim(q) else max(q, low)


def cage(p: Patient, u, x, y):
    """Distance to the inner wall of the rib cage in mm, negative inside."""
    a, b, cy = at_level(u, LUNG_A), at_level(u, LUNG_B), at_level(u, LUNG_Y)
    sides = ellipse(np.abs(x), y, at_level(u, LUNG_X), cy, a, b)
    front = ellipse(x, y, 0.0, -0.24 * b + cy, at_level(u, FRONT_A), 0.70 * b)
    return union(sides, front, 14.0)


def heart(p: Patient, z, x, y, more=0.0):
    q = _at_least(section(z, 0.69 * p.length, 56.0 * p.heart))
    a, b = (62 * p.heart + more) * q, (45 * p.heart + more) * q
    return ellipse(x, y, 20.0, -30.0, a, b, 0.35)


def domes(p: Patient, z, x, y):
    """Distance to what lies under the diaphragm, right and left."""
    top = p.dome * p.length
    right = _at_least(section(z, top + 82, 82))
    left = _at_least(section(z, top + 16 + 76, 76))
    return (
        ellipse(x, y, -66.0, -10.0, 82 * right, 88 * right),
        ellipse(x, y, 58.0, 2.0, 72 * left, 86 * left),
    )


def lung(p: Patient, z, x, y, wall=None):
    """Distance to the lungs in mm, negative inside: the rib cage without what pushes into it."""
    u = z / p.length
    width = at_level(u, MEDIASTINUM)
    middle = union(ellipse(x, y, 2.0, 4.0, width, 58.0), ellipse(x, y, 0.0, -62.0, 7.0, 48.0), 25.0)
    spine = ellipse(x, y, 0.0, 64.0, 22.0, 21.0)
    middle = union(union(middle, spine, 16.0), heart(p, z, x, y, 3.0), 10.0)
    wall = cage(p, u, x, y) if wall is None else wall
    return np.maximum(wall, -np.minimum(middle, np.minimum(*domes(p, z, x, y))))
