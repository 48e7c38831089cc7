"""The organs of a synthetic chest, painted slice by slice from the skin inwards.

Coordinates are those of `anatomy`: millimetres of a standard patient, and the height u.
"""

import numpy as np

from srgan.phantom.anatomy import (
    LUNG_A,
    LUNG_B,
    LUNG_X,
    LUNG_Y,
    Patient,
    at_level,
    cage,
    domes,
    heart,
    lung,
)
from srgan.phantom.drawing import Canvas, bone, capsule, cover, ellipse, paint, section, tube, union

BODY_A = (196, 200, 192, 181, 172, 166, 163, 160)  # half width without fat
BODY_B = (92, 97, 107, 113, 117, 118, 118, 118)
BODY_Y = (16, 14, 11, 8, 6, 6, 6, 6)
WALL = (30, 26, 19, 15, 13, 12, 12, 12)  # ribs and the muscles between and on them
SHOULDER = (60, 52, 40, 33, 22, 9, 5, 4)  # muscles round the shoulder blade
PECTORAL = (12, 18, 20, 15, 9, 3, 1, 1)
BLADE = (36, 40, 38, 32, 20, 0, 0, 0)  # half length of the shoulder blade

# Points are (x, y) in mm and the height u; then the first and the last radius in mm.
CHAMBERS = (  # centre, half axes, turn
    (44, -26, 0.74, 27, 18, 36, 0.55),  # left ventricle
    (14, -48, 0.73, 33, 15, 36, 0.30),  # right ventricle
    (-20, -24, 0.66, 17, 23, 34, 0.1),  # right atrium
    (6, -2, 0.59, 30, 15, 26, 0.05),  # left atrium
)
VESSELS = (
    (((-3, -26, 0.56), (-10, -30, 0.42), (-8, -27, 0.32), (0, -14, 0.275), (9, 6, 0.265),
      (17, 27, 0.285), (19, 36, 0.35), (18, 40, 0.7), (6, 40, 1.1)), 14.5, 11.0),  # aorta
    (((12, -44, 0.56), (16, -26, 0.44), (38, 4, 0.405), (52, 12, 0.46)), 13.5, 8.0),  # pulmonary
    (((14, -18, 0.44), (-20, -6, 0.455), (-46, 2, 0.47)), 11.0, 8.0),  # right pulmonary
    (((-28, -22, 0.2), (-27, -17, 0.55)), 8.5, 9.0),  # superior vena cava
    (((44, -34, 0.1), (16, -34, 0.17), (-24, -24, 0.21)), 6.0, 7.0),  # brachiocephalic veins
    (((-38, -20, 0.03), (-28, -22, 0.21)), 6.5, 7.5),
    (((0, -16, 0.27), (-16, -6, 0.1), (-26, -4, 0.0)), 6.5, 5.0),  # brachiocephalic artery
    (((6, -4, 0.27), (15, -2, 0.0)), 4.2, 4.0),  # left carotid
    (((14, 12, 0.27), (24, 10, 0.1), (40, -4, 0.02)), 5.0, 4.5),  # left subclavian
    (((6, 4, 0.56), (40, 14, 0.53), (58, 18, 0.56)), 6.5, 4.0),  # pulmonary veins
    (((6, 4, 0.56), (-38, 10, 0.54), (-56, 16, 0.57)), 6.5, 4.0),
    (((-20, -8, 0.74), (-24, 4, 0.85), (-22, 14, 1.1)), 11.0, 11.5),  # inferior vena cava
    (((-14, 44, 0.38), (-10, 46, 1.1)), 3.6, 3.2),  # azygos
)  # fmt: skip
OESOPHAGUS = ((4, 28, -0.1), (8, 28, 0.4), (9, 27, 0.6), (16, 22, 1.0)), 6.0, 7.5
AIRWAYS = (
    (((0, 8, -0.1), (1, 14, 0.375)), 8.5, 8.8),
    (((1, 14, 0.375), (26, 16, 0.48), (42, 24, 0.58)), 7.0, 4.2),
    (((1, 14, 0.375), (-20, 13, 0.44), (-38, 20, 0.56)), 7.6, 4.6),
)
LYMPH_NODES = ((-14, 2, 0.36), (16, 8, 0.4), (-8, -8, 0.24), (4, 16, 0.47), (22, -14, 0.3))


def draw(c: Canvas, p: Patient, tree: dict, nodules: list) -> None:
    """Paint a slice, from the skin inwards; fills `c.wall` and `c.lung` too."""
    u = c.z / p.length
    c = trunk = c.at(0.0, 6.0, 400.0, at_level(u, BODY_B) + p.fat + 16)
    c.wall[...] = cage(p, u, c.x, c.y)
    _body(c, p, u)
    _shoulder(c, p, u)
    c = c.at(0.0, 6.0, at_level(u, LUNG_X) + at_level(u, LUNG_A) + 14, at_level(u, LUNG_B) + 16)
    _ribs(c, p, u)
    paint(c, c.wall, p.fat_hu, cloud=8)
    _lungs(c, p, u)
    _branches(c, p, tree)
    for nodule in nodules:
        _nodule(c, *nodule)
    _below(c, p)
    _mediastinum(trunk, p)
    _spine(trunk, p, u)


def _body(c: Canvas, p: Patient, u) -> None:
    """Skin, fat, and muscle in layers with fat between them."""
    y, side, wall = c.y, np.abs(c.x), c.wall
    a, b = at_level(u, BODY_A) + 1.2 * p.fat - 50, at_level(u, BODY_B) + p.fat
    body = ellipse(side, y, 50.0, at_level(u, BODY_Y), a, b)
    body = np.where(side < 50.0, np.maximum(np.abs(y - at_level(u, BODY_Y)) - b, -60.0), body)
    breast = p.breast * max(0.0, 1.0 - ((u - 0.5) / 0.28) ** 2)
    if breast > 0.05:
        height = 14 + 30 * breast
        lobe = ellipse(side, y, 72.0, -72.0 - p.fat, 34 + 18 * breast, height)
        body = union(body, lobe, 45.0)
    # strands in the fat: thin lines where a smooth field changes sign
    strands = np.abs(c.cloud + 0.15 * c.fine) - 0.06
    paint(c, body, 15.0 + p.muscle_hu * 0.3)
    paint(c, body + 1.8, p.fat_hu, fine=4, cloud=6)
    paint(c, np.maximum(strands * 9, body + 2), p.fat_hu + 40, share=0.3 + 0.6 * p.breast)
    if breast > 0.05:
        gland = ellipse(side, y, 76.0, -90.0 - p.fat, 32.0, 0.45 * height) + 7 * c.cloud
        paint(c, np.maximum(gland, body + 5), 10, fine=25, share=0.75)
    back = np.clip(1 - ((y - 60) / 75) ** 2, 0, 1) * np.clip((side - 30) / 60, 0, 1)
    chest = np.clip(1 - ((side - 68) / 58) ** 2, 0, 1) * np.clip(-y / 40, 0, 1)
    depth = at_level(u, WALL) + at_level(u, SHOULDER) * back + at_level(u, PECTORAL) * chest
    outer = np.maximum(wall - depth + 2.5 * c.cloud, body + 3 + 0.45 * p.fat)
    spinal = ellipse(side, y, 25.0, 97.0, 24.0, 17.0, 0.25)
    muscle = np.minimum(outer, np.maximum(spinal, body + 4 + 0.3 * p.fat))
    paint(c, muscle, p.muscle_hu, fine=5, cloud=4)
    # fat between layers: two shells round the cage, one along the back, and a few oblique planes
    shells = np.minimum(np.abs(wall - 14 - 3 * c.cloud), np.abs(wall - 31 - 5 * c.cloud))
    planes = 0.028 * (side - 0.6 * y) + 0.3 * c.cloud
    planes = np.abs(planes - np.floor(planes) - 0.5) * 34
    planes = np.where(wall > 15, planes, 9.0)
    gaps = np.minimum(np.minimum(shells, planes), np.abs(spinal)) - 0.9 - 0.7 * c.cloud
    paint(c, np.maximum(gaps, muscle + 1), p.fat_hu + 20, share=0.8)


def _ribs(c: Canvas, p: Patient, u) -> None:
    """Ribs fall towards the front, so that a slice cuts several: short bars along the wall."""
    wall = c.wall
    near = (wall > 0) & (wall < 13)
    x, y, thick = c.x[near], c.y[near], 4.2 + 0.5 * c.cloud[near]
    spacing = p.length / 9.5
    fall = c.z - p.rib_slope * (90.0 - y) + 0.22 * np.abs(x)
    phase = np.remainder(fall * (1 / spacing) + p.rib_phase + 0.15 * (x > 0), 1.0) - 0.5
    along = phase * (spacing / (p.rib_slope + 0.1) / 13.0)
    across = (wall[near] - 6.5) / thick
    d = (np.sqrt(across * across + along * along * along * along) - 1.0) * thick
    d[(np.abs(x) < 24) & (y > 0)] = 9.0  # the spine's place
    front = y < -0.62 * at_level(u, LUNG_B)
    bony, cartilage = np.full_like(wall, 9.0), np.full_like(wall, 9.0)
    bony[near] = np.where(front, 9.0, d)
    cartilage[near] = np.where(front, np.maximum(d, 18.0 - np.abs(x)), 9.0)
    bone(c, bony, 1.3, p.cortex_hu, p.marrow_hu + 40)
    paint(c, cartilage, 95, fine=12)
    if 0.1 < u < 0.8:  # manubrium wide, body narrow
        half = 26.0 if u < 0.25 else 17.0
        top = -0.94 * at_level(u, LUNG_B) + at_level(u, LUNG_Y) - 9.0
        view = c.at(0.0, top, half)
        sternum = ellipse(view.x, view.y, 0.0, top, half, 6.5)
        bone(view, sternum, 1.3, p.cortex_hu - 150, p.marrow_hu)


def _shoulder(c: Canvas, p: Patient, u) -> None:
    """Shoulder blades, lying on the cage behind and at the side, and the collar bones."""
    half = at_level(u, BLADE)
    a, b = at_level(u, LUNG_A) + 23, at_level(u, LUNG_B) + 23
    x, y = at_level(u, LUNG_X) + 0.78 * a, at_level(u, LUNG_Y) + 0.63 * b
    length = (0.63 / b) ** 2 + (0.78 / a) ** 2
    tx, ty = 0.63 / b / length**0.5, -0.78 / a / length**0.5  # along the ellipse
    for side in (-1, 1):
        if half > 6:
            view = c.at(side * x, y, half + 20)
            out = view.x * side
            bent = view.y - 0.004 * (out - x) ** 2
            first, last = (x - half * tx, y - half * ty), (x + half * tx, y + half * ty)
            d = capsule(out, bent, first, last, 1.8, 4.5)
            if u < 0.25:  # the spine of the blade
                spine = capsule(out, view.y, (x + 4, y), (x + 26, y + 8 - 60 * u), 2.2, 4.0)
                d = union(d, spine, 4.0)
            bone(view, d, 1.4, p.cortex_hu, p.marrow_hu + 120)
        if u < 0.16:
            start, end = (side * 20, -62, 0.14 * p.length), (side * 105, -48, -0.02 * p.length)
            tube(c, start, end, 7.5, 6.0, p.cortex_hu)
            tube(c, start, end, 5.5, 4.2, p.marrow_hu + 60)


def _lungs(c: Canvas, p: Patient, u) -> None:
    x, y = c.x, c.y
    d = lung(p, c.z, x, y, c.wall) + 0.8 * c.cloud * (c.wall < -6)
    c.lung[...] = cover(c, d)
    paint(c, d, p.lung_hu, fine=30, cloud=12)
    c.hu[...] += c.lung * y * (p.gravity / 180)
    for sign, shift in zip((-1, 1), p.fissure, strict=True):  # the oblique fissures
        line = y - 60 + 130 * (u - 0.3) + shift + 0.25 * np.abs(x) + 3 * c.cloud
        near = np.clip(1.0 - np.abs(line) / 1.1, 0, 1) * (x * sign > 0)
        c.hu[...] += 110 * near * c.lung * (u > 0.25)


def _branches(c: Canvas, p: Patient, tree: dict) -> None:
    """Arteries and veins of the lung, and a bronchus beside each larger artery."""
    low = np.minimum(tree["start"][:, 2], tree["end"][:, 2]) - tree["r0"] - c.slab / 2
    high = np.maximum(tree["start"][:, 2], tree["end"][:, 2]) + tree["r0"] + c.slab / 2
    blood = 0.6 * p.blood_hu + 20
    cut = np.flatnonzero((low < c.z) & (c.z < high))
    start, end, r0, r1 = (tree[name][cut] for name in ("start", "end", "r0", "r1"))
    aside = np.array((0.9, 0.9, 1.5))  # where a bronchus lies, in radii of its artery
    aside = np.where(start[:, :1] < 0, (-1, 1, 1), (1, 1, 1)) * aside
    for wall, hu in ((0.5, -250.0), (0.0, -960.0)):
        a, b = start + aside * r0[:, None], end + aside * r1[:, None]
        for i in np.flatnonzero(tree["bronchus"][cut]):
            radii = 0.8 * r0[i] + wall, 0.8 * r1[i] + wall
            tube(c, a[i].tolist(), b[i].tolist(), *map(float, radii), hu, in_lung=True)
    for i in range(len(cut)):
        tube(c, start[i].tolist(), end[i].tolist(), float(r0[i]), float(r1[i]), blood, in_lung=True)


def _nodule(c: Canvas, x, y, z, r, core) -> None:
    """A nodule at (x, y, z) of radius r mm; core 1 is solid, less has a ground-glass rim."""
    q = section(c.z, z, r)
    if q <= 0:
        return
    v = c.at(x, y, 1.5 * r)
    d = np.sqrt((v.x - x) ** 2 + (v.y - y) ** 2) - r * q + (0.12 * r) * (v.cloud + 0.6 * v.fine)
    if core < 1:
        paint(v, d, -560.0, fine=50, share=v.lung)
        d = d + (1 - core) * r
    paint(v, d, 30.0, fine=15, share=v.lung)


def _blob(c: Canvas, centre, half, hu, turn=0.0, caged=False) -> None:
    """An ellipsoid of soft tissue: centre (x, y, z) and half axes in mm."""
    q = float(section(c.z, centre[2], half[2]))
    if q < 0.05:
        return
    v = c.at(centre[0], centre[1], max(half[:2]) * q)
    d = ellipse(v.x, v.y, centre[0], centre[1], half[0] * q, half[1] * q, turn) + 0.7 * v.cloud
    if caged:
        d = np.maximum(d, v.wall + 2.0)
    paint(v, d, hu, fine=4, cloud=3)


def _mediastinum(c: Canvas, p: Patient) -> None:
    """Heart, great vessels, windpipe, gullet."""
    k, blood, h = p.heart, p.blood_hu, p.length
    muscle = p.muscle_hu + 0.25 * max(0.0, blood - 60)
    if abs(c.z - 0.69 * h) < 56 * k:
        v = c.at(20, -30, 70 * k)
        d = heart(p, c.z, v.x, v.y) + 0.8 * v.cloud
        paint(v, heart(p, c.z, v.x, v.y, 3.0), p.fat_hu)
        paint(v, d + 1.5 + 1.5 * v.cloud, muscle, fine=5)
        groove = capsule(v.x, v.y, (-12, -72), (8, -40), 4.0, 1.5)
        paint(v, np.maximum(groove, d), p.fat_hu + 20)
    for x, y, z, a, b, t, turn in CHAMBERS:
        _blob(c, (x, y, z * h), (a * k, b * k, t * k), blood, turn)
    for points, first, last in VESSELS:
        _line(c, p, points, first * p.aorta, last * p.aorta, blood)
    _line(c, p, *OESOPHAGUS, p.muscle_hu)
    for x, y, z in LYMPH_NODES:
        _blob(c, (x, y, z * h), (5, 3.5, 8), p.muscle_hu - 5)
    for wall, hu in ((1.6, p.muscle_hu), (0.0, -985.0)):
        for points, first, last in AIRWAYS:
            _line(c, p, points, first + wall, last + wall, hu)


def _line(c: Canvas, p: Patient, points, first, last, hu) -> None:
    """A tube through points (x, y, u) whose radius goes from first to last mm."""
    radii = np.linspace(first, last, len(points)).tolist()
    at = [(x, y, u * p.length) for x, y, u in points]
    for start, end, r0, r1 in zip(at, at[1:], radii, radii[1:], strict=False):
        tube(c, start, end, r0, r1, hu)


def _below(c: Canvas, p: Patient) -> None:
    """Liver on the right; fat, stomach and spleen on the left."""
    top = p.dome * p.length
    if c.z < top:
        return
    right, left = domes(p, c.z, c.x, c.y)
    inside = c.wall + 2.0
    paint(c, np.maximum(left, inside), p.fat_hu, fine=6)
    base = top + 16
    _blob(c, (40, -22, base + 62), (44, 40, 56), p.muscle_hu - 5, 0.3, True)  # stomach
    _blob(c, (44, -46, base + 60), (30, 12, 50), -930.0, 0.1, True)  # and its air
    _blob(c, (84, 34, base + 66), (28, 46, 62), p.liver_hu - 8, -0.3, True)  # spleen
    paint(c, np.maximum(right, inside), p.liver_hu, fine=5, cloud=4)
    _blob(c, (-8, -38, top + 96), (62, 42, 80), p.liver_hu, 0.15, True)
    for x, y, z in ((-70, -10, 40), (-48, 22, 52), (-90, 18, 46), (-40, -24, 60)):
        start, end = (x, y, top + z - 22), (x + 26, y - 8, top + z + 14)
        tube(c, start, end, 2.4, 4.0, p.liver_hu + 0.3 * (p.blood_hu - 40) - 6)


def _spine(c: Canvas, p: Patient, u) -> None:
    """A vertebra: body, pedicles and laminae round the canal, three processes."""
    v = c.at(0.0, 84.0, 62.0)
    side, y = np.abs(v.x), v.y
    size = 0.9 + 0.2 * u
    body = ellipse(v.x, y, 0.0, 62.0, 17.5 * size, 14.5 * size) + 0.4 * v.cloud
    level = c.z / p.length * 10.5 + p.rib_phase
    level = level - np.floor(level)  # where in the vertebra the slice lies: 0 is a disc
    arch = capsule(side, y, (12, 76), (15, 87), 4.2, 3.6)  # pedicle
    arch = union(arch, capsule(side, y, (15, 88), (3, 99), 3.6, 3.2), 5.0)  # lamina
    arch = union(arch, capsule(v.x, y, (0, 99), (0.5, 112), 3.4, 2.4), 5.0)  # spinous process
    if 0.25 < level < 0.8:
        arch = union(arch, capsule(side, y, (16, 88), (33, 97), 4.0, 3.4), 5.0)  # transverse
        rib = capsule(side, y, (20, 70), (36, 88), 4.0, 4.2)
        bone(v, rib, 1.2, p.cortex_hu, p.marrow_hu + 40)
    canal = ellipse(v.x, y, 0.0, 84.0, 9.5, 8.0)
    paint(v, canal - 4, p.muscle_hu)
    if level > 0.15:
        bone(v, body, 1.1, p.cortex_hu - 150, p.marrow_hu)
    else:
        paint(v, body, 95, fine=8)
    bone(v, np.maximum(arch, -canal), 1.3, p.cortex_hu, p.marrow_hu + 120)
    paint(v, canal, p.fat_hu + 30)
    paint(v, canal + 1.8, 28, fine=4)


def couch(c: Canvas, p: Patient) -> None:
    """The couch under the patient: two thin shells, foam between, a mat above."""
    top, curve, hu = p.couch
    c = c.at(0.0, top, 400.0, 60.0)
    line = c.y - top + curve * c.x * c.x
    bottom = c.y - top - 24 - 0.35 * curve * c.x * c.x
    paint(c, np.maximum(-line, bottom), -955.0)
    paint(c, np.abs(line) - 0.9, hu)
    paint(c, np.abs(bottom) - 1.2, hu)
    paint(c, np.abs(line + 8) - 0.8, -820.0)
