"""A digital phantom: CT slices of synthetic chests, for a first run without any scan.

They look like a chest and have a scanner's blur and noise, but what is learned from them says
nothing about patients. `anatomy` holds the shape of the chest and `organs` paints it by means of
`drawing`; this file varies the patients and adds what a scanner does. The phantom is frozen: a
change of any pixel needs a new `write_scans.VERSION`.
"""

import math

import numpy as np
from scipy import ndimage

from srgan.phantom import anatomy, organs
from srgan.phantom.anatomy import Patient
from srgan.phantom.drawing import SIZE, Canvas, field

LEAVES = 1024  # ends of each vessel tree; a power of two


def chest(
    seed: int, patient: int, slices: int = 6
) -> tuple[np.ndarray, tuple[float, float, float]]:
    """One patient: (slices, 512, 512) int16 HU, feet first; spacing in mm as (x, y, z).

    A pure function of its arguments.
    """
    rng = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, patient]))
    p = _patient(rng)
    scale = rng.uniform((0.92, 0.92), (1.06, 1.08))  # this patient's mm per standard mm, x and y
    width = 2 * (172 + 1.2 * p.fat) * scale[0]
    pixel = round(float(np.clip(width * rng.uniform(1.0, 1.12) / SIZE, 0.6, 0.9)), 4)
    turn, shift = rng.normal(0, 0.03), rng.normal(0, 6, 2)
    levels = np.linspace(rng.uniform(0.90, 0.97), rng.uniform(0.05, 0.10), slices)
    look = {
        "slab": float(rng.choice((1.25, 2.0, 2.5))),  # slice thickness, mm
        "blur": float(rng.uniform(0.6, 0.85)),  # SD of the scanner's, pixels
        "noise": float(rng.uniform(8, 15)),  # about, HU
        "round": bool(rng.random() < 0.5),  # nothing outside the round field of view
    }
    bend = rng.standard_normal((2, 4, 8, 8))  # (axis, height, row, column)
    tree, nodules = _tree(p, rng), _nodules(p, rng, levels * p.length)
    place = _placement(pixel, scale, turn, shift)
    volume = np.empty((slices, SIZE, SIZE), np.int16)
    for k, u in enumerate(levels.tolist()):
        volume[k] = _slice(p, rng, u, pixel, place, look, bend, tree, nodules)
    step = abs(float(levels[0] - levels[-1])) * p.length / max(slices - 1, 1)
    return volume, (pixel, pixel, round(step, 3) or look["slab"])


def _patient(rng: np.random.Generator) -> Patient:
    contrast, female = rng.random() < 0.5, rng.random() < 0.5
    fat = float(rng.uniform(5, 22))
    muscle = float(rng.uniform(45, 62))
    return Patient(
        length=float(rng.uniform(205, 255)),
        fat=fat,
        breast=float(rng.uniform(0.3, 1.0)) if female else 0.0,
        rib_phase=float(rng.random()),
        rib_slope=float(rng.uniform(0.45, 0.65)),
        dome=float(rng.uniform(0.74, 0.86)),
        heart=float(rng.uniform(0.88, 1.1)),
        aorta=float(rng.uniform(0.88, 1.12)),
        lung_hu=float(rng.uniform(-885, -825)),
        gravity=float(rng.uniform(30, 90)),
        blood_hu=float(rng.uniform(120, 230)) if contrast else float(rng.uniform(32, 48)),
        muscle_hu=muscle,
        fat_hu=float(rng.uniform(-112, -95)),
        liver_hu=float(rng.uniform(85, 110)) if contrast else float(rng.uniform(48, 66)),
        cortex_hu=float(rng.uniform(650, 950)),
        marrow_hu=float(rng.uniform(110, 230)),
        fissure=(float(rng.normal(0, 10)), float(rng.normal(0, 10))),
        couch=(118 + 10 + fat + float(rng.uniform(4, 14)), float(rng.uniform(4e-4, 1e-3)),
               float(rng.uniform(-150, 250))),
    )  # fmt: skip


def _tree(p: Patient, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Arteries and veins of both lungs: straight pieces from the hilum to points everywhere.

    The points of a branch are halved across a long side, again and again; a branch ends
    part of the way to the middle of its points. Radii follow a power of the number of points.
    """
    pieces = []
    for side in (-1, 1):
        for artery in (True, False):
            level = (0.46 if artery else 0.55) + rng.normal(0, 0.015)
            node = np.array([[side * 36.0, 8.0 if artery else 15.0, level * p.length]])
            points, r = _points_in_lung(p, rng, side)[None], 6.2 if artery else 5.6
            while points.shape[1] >= 1:
                count = points.shape[1]
                radius = r * (count / LEAVES) ** 0.345
                way = 1.0 if count == 1 else rng.uniform(0.25, 0.65, (len(node), 1))
                end = node + way * (points.mean(1) - node)
                end += rng.normal(0, 0.05, end.shape) * np.abs(end - node).sum(1, keepdims=True)
                bronchus = np.full(len(end), artery and 1.6 < radius < 4.5)
                radii = np.full((len(end), 2), (radius, 0.85 * radius))
                pieces.append((node, end, radii, bronchus))
                if count == 1:
                    break
                points, node = _halve(points, rng), end.repeat(2, 0)
    start, end, radii, bronchus = (np.concatenate(part) for part in zip(*pieces, strict=True))
    return {"start": start, "end": end, "r0": radii[:, 0], "r1": radii[:, 1], "bronchus": bronchus}


def _halve(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(groups, n, 3) to (2 * groups, n / 2, 3): each group cut across a long side.

    The longest of four random directions: along the axes, branches would lie on a grid.
    """
    ways = rng.standard_normal((len(points), 4, 3))
    ways /= np.sqrt((ways**2).sum(2, keepdims=True))
    along = points @ ways.transpose(0, 2, 1)
    longest = np.ptp(along, axis=1).argmax(1)
    order = np.take_along_axis(along, longest[:, None, None], 2)[..., 0].argsort(1, kind="stable")
    points = np.take_along_axis(points, order[..., None], 1)
    return points.reshape(2 * len(points), -1, 3)


def _points_in_lung(p: Patient, rng: np.random.Generator, side: int) -> np.ndarray:
    """LEAVES points evenly over one lung, 3 mm inside the pleura: (LEAVES, 3) mm."""
    box = rng.uniform((0, -105, 0), (145, 105, 1.02 * p.length), (12 * LEAVES, 3))
    box[:, 0] *= side
    inside = anatomy.lung(p, box[:, 2], box[:, 0], box[:, 1]) < -3.0
    return box[inside][:LEAVES]


def _nodules(p: Patient, rng: np.random.Generator, heights: np.ndarray) -> list[tuple]:
    """None to three nodules of 4 to 20 mm near slices: (x, y, z, radius, solid share)."""
    found = []
    for _ in range(int(rng.integers(0, 4))):
        r = float(2.0 * 5.0 ** rng.random())
        z = float(rng.choice(heights)) + float(rng.uniform(-0.4, 0.4)) * r
        x, y = rng.uniform((-135, -95), (135, 95), (400, 2)).T
        free = np.flatnonzero(anatomy.lung(p, np.full(400, z), x, y) < -r - 1)
        core = 1.0 if r < 4 or rng.random() < 0.6 else 0.55
        if len(free):
            found.append((float(x[free[0]]), float(y[free[0]]), z, r, core))
    return found


def _placement(pixel: float, scale, turn: float, shift) -> np.ndarray:
    """(2, 3) matrix from a standard patient's (x, y, 1) in mm to (column, row)."""
    c, s = math.cos(turn), math.sin(turn)
    middle = (SIZE - 1) / 2 + shift / pixel
    rows = [s * scale[0] / pixel, c * scale[1] / pixel, middle[0]]
    columns = [c * scale[0] / pixel, -s * scale[1] / pixel, middle[1]]
    return np.array([columns, rows])


def _slice(p: Patient, rng, u, pixel, place, look, bend, tree, nodules) -> np.ndarray:
    """One slice: (512, 512) int16 HU."""
    inverse = np.linalg.inv(place[:, :2])
    j, i = (np.arange(SIZE) - middle for middle in place[:, 2])
    x, y = ((a * j + b * i[:, None]).astype(np.float32) for a, b in inverse)
    # neighbouring slices are bent alike: coefficients are interpolated along the height
    knot = u * (bend.shape[1] - 1.001)
    k, f = int(knot), knot - int(knot)
    dx, dy = (field(np.clip((1 - f) * b[k] + f * b[k + 1], -2, 2)) for b in bend)
    fine, cloud = field(rng.standard_normal((200, 200))), field(rng.standard_normal((42, 42)))
    hu = np.full((SIZE, SIZE), -1000, np.float32)
    canvas = Canvas(
        hu, x + 2 * dx, y + 2 * dy, fine, cloud, np.full_like(hu, 99.0), np.zeros_like(hu),
        u * p.length, look["slab"], pixel, place,
    )  # fmt: skip
    organs.couch(canvas._replace(x=x, y=y), p)  # straight, whatever lies on it
    organs.draw(canvas, p, tree, nodules)
    hu += _noise(rng, look["noise"] * look["blur"], x, y, u)
    hu = ndimage.gaussian_filter(hu, look["blur"], truncate=3.0)
    if look["round"]:
        c = (np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2) ** 2
        hu[c[:, None] + c > (SIZE / 2) ** 2] = -1024
    return np.rint(np.clip(hu, -1024, 3071)).astype(np.int16)


def _noise(rng: np.random.Generator, sd: float, x, y, u: float) -> np.ndarray:
    """Scanner-like noise: once blurred, `sd` / (SD of the blur in pixels) HU or so.

    The ramp of filtered back projection takes out the slow part, the blur takes the finest; the
    shoulders cast streaks.
    """
    white = rng.standard_normal((SIZE, SIZE), np.float32)
    noise = white - 0.8 * ndimage.uniform_filter(white, 7)
    body = np.clip(1.25 - (x / 190) ** 2 * 0.5 - (y / 140) ** 2 * 0.5, 0.55, 1.25)
    noise *= (sd / 0.25) * body
    if u < 0.2:
        noise += ndimage.uniform_filter1d(white, 41, axis=1) * (200 * (0.2 - u)) * body
    return noise
