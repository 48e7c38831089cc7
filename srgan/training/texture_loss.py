"""Texture loss: the power at each frequency in small windows, whatever its phase.

Where the grain of the normal dose cannot be known, a pixel loss asks for none: grain at another
place costs twice. This loss asks for as much grain as the normal dose has, of any pattern. Spectra
are averaged over rings of equal frequency, as in Durall et al., CVPR 2020 (section 3.2); the
windows, and the logarithm, which counts flat tissue as much as edges, are ours.
"""

import numpy as np
import tensorflow as tf

WINDOW_PX = 16
FLOOR_HU = 2.0  # white noise that is added to both spectra: nobody sees less


def _rings() -> np.ndarray:
    """(16 * 9, 8): the mean over a ring of one frequency, 1 to 8 periods a window."""
    rows, columns = np.fft.fftfreq(WINDOW_PX), np.fft.rfftfreq(WINDOW_PX)
    radius = np.rint(WINDOW_PX * np.hypot(rows[:, None], columns)).ravel()
    rings = radius[:, None] == np.arange(1, WINDOW_PX // 2 + 1)
    return (rings / rings.sum(0)).astype(np.float32)


TAPER = np.outer(*[np.hanning(WINDOW_PX + 1)[:-1]] * 2).astype(np.float32)
RINGS = _rings()
FLOOR = float((FLOOR_HU / 2047.5) ** 2 * (TAPER**2).sum())


def texture_loss(output, normal, step):
    """Mean absolute difference of the logarithms of both spectra; a float32 scalar.

    output, normal: (batch, crop, crop, 1) float32 in [-1, 1], crop at least 16 pixels. step: int
    tensor; it moves the windows, so that no place is always at their edge.
    """
    crop = normal.shape[1]
    return tf.reduce_mean(tf.abs(_spectra(output, crop, step) - _spectra(normal, crop, step)))


def _spectra(images, crop: int, step):
    n = max(1, (crop - WINDOW_PX + 1) // WINDOW_PX)  # windows along a side, with room to move
    side = n * WINDOW_PX
    moves = crop - side + 1
    top, left = step % moves, step // moves % moves
    windows = tf.reshape(
        images[:, top : top + side, left : left + side, 0], (-1, n, WINDOW_PX, n, WINDOW_PX)
    )
    windows = tf.reshape(tf.transpose(windows, (0, 1, 3, 2, 4)), (-1, WINDOW_PX, WINDOW_PX))
    windows -= tf.reduce_mean(windows, (1, 2), keepdims=True)
    waves = tf.signal.rfft2d(windows * TAPER)
    power = tf.square(tf.math.real(waves)) + tf.square(tf.math.imag(waves))
    return tf.math.log(tf.reshape(power, (-1, len(RINGS))) @ RINGS + FLOOR)
