"""Which slices the report shows, and which region of a slice it enlarges."""

import numpy as np
from scipy import ndimage

from srgan.evaluation.baselines import CLASSICAL
from srgan.evaluation.study import Study
from srgan.hounsfield import WINDOWS
from srgan.masks import body_mask, lung_mask

ZOOM = 4  # the region is a fourth of the slice in each direction

Place = tuple[str, int]  # pseudonym, and number of the slice within the patient


def best_network(study: Study) -> str:
    """The network with the lowest RMSE; without any network, the method with the lowest."""
    overall = study.overall()
    networks = [name for name in overall if name not in CLASSICAL]
    return min(networks or overall, key=lambda name: overall[name]["rmse_hu"])


def slices_by_rmse(study: Study, method: str) -> list[Place]:
    """All slices, the one with the lowest RMSE first."""
    found = sorted(
        (row.metrics["rmse_hu"], row.pseudonym, row.number)
        for row in study.rows
        if (row.part, row.method) == ("whole", method)
    )
    return [(pseudonym, number) for _, pseudonym, number in found]


def median_slices(study: Study) -> dict[str, int]:
    """Each patient's slice with the median RMSE by the best network."""
    of_patients: dict[str, list[int]] = {pseudonym: [] for pseudonym in study.patients()}
    for pseudonym, number in slices_by_rmse(study, best_network(study)):
        of_patients[pseudonym].append(number)
    return {
        pseudonym: numbers[(len(numbers) - 1) // 2] for pseudonym, numbers in of_patients.items()
    }


def median_worst_best(study: Study) -> dict[Place, list[str]]:
    """The slices of the page with what they are: "median", "worst", "best", or two of these."""
    places = slices_by_rmse(study, best_network(study))
    found: dict[Place, list[str]] = {}
    for word, i in {"median": (len(places) - 1) // 2, "worst": -1, "best": 0}.items():
        found.setdefault(places[i], []).append(word)
    return found


def region(normal_dose: np.ndarray, window: str) -> tuple[slice, slice]:
    """Rows and columns of the region worth enlarging in a window.

    normal_dose: (rows, columns) HU. In the lung window it is where the gradient of lung sums to the
    most, because the vessels are there. In others it is the middle of the body at the height of the
    lungs. Without lung it is the middle of the body.
    """
    size = np.array(normal_dose.shape) // ZOOM
    body, lung = body_mask(normal_dose), lung_mask(normal_dose)
    if lung.any() and window == "lung":
        first = _vessels(normal_dose, lung, size)
    else:
        first = _middle(lung, body if body.any() else ~body, size)
    first = np.clip(first, 0, np.array(normal_dose.shape) - size)
    return tuple(slice(int(start), int(start + n)) for start, n in zip(first, size, strict=True))


def _vessels(normal_dose: np.ndarray, lung: np.ndarray, size: np.ndarray) -> np.ndarray:
    """First row and column of the box with the largest sum of gradients in lung."""
    inner = ndimage.binary_erosion(lung, iterations=4)  # without the wall of the chest
    clipped = np.clip(normal_dose, *WINDOWS["lung"])
    gradient = ndimage.gaussian_gradient_magnitude(clipped, 1.5)
    sums = np.pad((gradient * inner).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = sums[size[0] :] - sums[: -size[0]]
    sums = sums[:, size[1] :] - sums[:, : -size[1]]
    return np.array(np.unravel_index(np.argmax(sums), sums.shape))


def _middle(lung: np.ndarray, body: np.ndarray, size: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero((lung if lung.any() else body).any(1))
    columns = np.flatnonzero(body.any(0))
    return np.array([rows[0] + rows[-1], columns[0] + columns[-1]]) // 2 - size // 2
