"""Measures of information: entropy, Q_MI, Q_NCIE."""

import numpy as np
from numpy.typing import ArrayLike

from tfreg.metrics._checks import as_domain
from tfreg.metrics.fusion.images import as_bytes, as_images, stretched

_BINS = 256


def entropy(fused: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Shannon's entropy of an image of 8 bits: ``H = -sum_k p_k log2 p_k`` over its 256 greys.

    Args:
        fused: ``(rows, columns)``, 0 to 255.
        mask: which pixels count.

    Returns:
        Bits, 0 to 8.

    Raises:
        ValueError: on an image that is none of 8 bits, or a mask of another shape.

    Example:

    >>> from tfreg.metrics import fusion
    >>> fusion.entropy([[0, 0], [10, 200]])
    1.5
    """
    (image,) = as_images(fused, least=1)
    greys = as_bytes(image)[as_domain(mask, image.shape)]
    return _entropy(np.bincount(greys, minlength=_BINS))


def q_mi(
    first: ArrayLike, second: ArrayLike, fused: ArrayLike, mask: ArrayLike | None = None
) -> float:
    """Normalised mutual information ``2 (I(A, F) / (H_A + H_F) + I(B, F) / (H_B + H_F))``.

    Of 256 greys, after each image is scaled to 0 to 255 and rounded. An image is worth 0 where it
    and the fused one are both constant.

    Args:
        first, second, fused: ``(rows, columns)``.
        mask: which pixels count.

    Returns:
        0 to 2.

    Raises:
        ValueError: on images that do not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg.metrics import fusion
    >>> image = np.arange(64).reshape(8, 8)
    >>> fusion.q_mi(image, image, image)
    2.0

    Reference:
        M. Hossny, S. Nahavandi and D. Creighton, Comments on "Information measure for performance
        of image fusion", Electronics Letters 44(18), 2008.
    """
    images = as_images(first, second, fused, least=1)
    domain = as_domain(mask, images[0].shape)
    *sources, result = (stretched(image)[domain].astype("int64") for image in images)
    total = 0.0
    for source in sources:
        shared, own, others = _information(source, result)
        total += 2 * shared / (own + others) if own + others > 0 else 0.0
    return total


def q_ncie(
    first: ArrayLike, second: ArrayLike, fused: ArrayLike, mask: ArrayLike | None = None
) -> float:
    """Nonlinear correlation information entropy: how far the three images tell each other.

    With ``r_XY = I(X, Y) / log2(256)`` of two images and 1 of each with itself, and the eigenvalues
    ``e_i`` of that matrix: ``Q = 1 + sum_i (e_i / 3) log256(e_i / 3)``. Greys as in :func:`q_mi`.

    Args:
        first, second, fused: ``(rows, columns)``.
        mask: which pixels count.

    Returns:
        ``1 - log256(3) = 0.8019``, where none tells of another, to 1.

    Raises:
        ValueError: on images that do not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg.metrics import fusion
    >>> greys = np.arange(256).reshape(16, 16)
    >>> [round(fusion.q_ncie(image, greys, image), 4) for image in (greys, 0 * greys)]
    [1.0, 0.8019]

    Reference:
        Q. Wang, Y. Shen and J. Jin, Performance evaluation of image fusion techniques, chapter 19
        of Image Fusion: Algorithms and Applications, 2008.
    """
    images = as_images(first, second, fused, least=1)
    domain = as_domain(mask, images[0].shape)
    greys = [stretched(image)[domain].astype("int64") for image in images]
    matrix = np.eye(3)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        matrix[i, j] = matrix[j, i] = _information(greys[i], greys[j])[0] / np.log2(_BINS)
    shares = np.linalg.eigvalsh(matrix) / 3
    shares = shares[shares > 0]
    return float(1 + (shares * np.log(shares)).sum() / np.log(_BINS))


def _information(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Mutual information of greys, and the entropies of both."""
    joint = np.bincount(_BINS * one + other, minlength=_BINS**2).reshape(_BINS, _BINS)
    own, others = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
    return own + others - _entropy(joint.ravel()), own, others


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0
