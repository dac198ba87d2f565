"""Q_G, also called Q^{AB/F}: how many edges of the sources a fused image keeps."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from tfreg.metrics._checks import as_domain
from tfreg.metrics.fusion.images import as_images


class Constants(NamedTuple):
    """Of both sigmoids, of strength and of angle: height, slope (negative: rising), middle."""

    gamma_strength: float
    kappa_strength: float
    sigma_strength: float
    gamma_angle: float
    kappa_angle: float
    sigma_angle: float


CORRECTED = Constants(0.9994, -15, 0.5, 0.9879, -22, 0.8)
TOOLBOX = Constants(1, -10, 0.5, 1, -20, 0.75)
_ACROSS = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
_NO_SLOPE = 1e-5  # stands for a horizontal difference of 0


def q_g(
    first: ArrayLike,
    second: ArrayLike,
    fused: ArrayLike,
    mask: ArrayLike | None = None,
    constants: Constants = CORRECTED,
) -> float:
    """Edges of two images that a fused one keeps, in strength and in direction.

    With ``g`` and ``a = atan(s_y / s_x)`` of Sobel differences, zeros beyond the border, for a
    source ``A``::

        G = min(g_A / g_F, g_F / g_A),  1 where both are equal
        D = 1 - |a_A - a_F| 2 / pi
        Q_A = gamma_g / (1 + exp(kappa_g (G - sigma_g)))
              gamma_a / (1 + exp(kappa_a (D - sigma_a)))
        Q_G = sum (Q_A g_A + Q_B g_B) / sum (g_A + g_B)

    Args:
        first, second, fused: ``(rows, columns)``, of one unit.
        mask: which pixels count.
        constants: :data:`CORRECTED`, read off the curves of the paper, or :data:`TOOLBOX`, which
            many tables were made with; values of the two are not to be compared.

    Returns:
        0 to nearly 1; NaN where the sources have no edge among the pixels that count.

    Raises:
        ValueError: on images that do not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg.metrics import fusion
    >>> image = np.random.default_rng(0).random((20, 20))
    >>> round(fusion.q_g(image, image, image), 4)  # 0.9994 0.9879 less the tails of both curves
    0.9748

    Reference:
        C. Xydeas and V. Petrovic, Objective image fusion performance measure, Electronics Letters
        36(4), 2000.
    """
    images = as_images(first, second, fused)
    domain = as_domain(mask, images[0].shape)
    *sources, result = (_edges(image) for image in images)
    kept = total = 0.0
    for strength, angle in sources:
        quality = _kept(strength, angle, *result, constants)
        kept += (quality * strength)[domain].sum()
        total += strength[domain].sum()
    return float(kept / total) if total > 0 else float("nan")


def _edges(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strength and angle, in (-pi/2, pi/2]."""
    across, down = (
        ndimage.correlate(image, kernel, mode="constant") for kernel in (_ACROSS, _ACROSS.T)
    )
    angle = np.arctan(down / np.where(across == 0, _NO_SLOPE, across))
    return np.hypot(across, down), angle


def _kept(
    strength: np.ndarray,
    angle: np.ndarray,
    fused_strength: np.ndarray,
    fused_angle: np.ndarray,
    constants: Constants,
) -> np.ndarray:
    """How much of each pixel's edge is there."""
    lower, higher = np.minimum(strength, fused_strength), np.maximum(strength, fused_strength)
    ratio = np.where(higher > 0, lower / np.where(higher > 0, higher, 1), 1)
    alike = 1 - np.abs(angle - fused_angle) * 2 / np.pi
    height, slope, middle, height_angle, slope_angle, middle_angle = constants
    by_strength = height / (1 + np.exp(slope * (ratio - middle)))
    return by_strength * height_angle / (1 + np.exp(slope_angle * (alike - middle_angle)))
