"""Attributes of every voxel that were thought of, not learned: moments, edges, scales, patches."""

from collections.abc import Sequence

import numpy as np

from tfreg.errors import InputError


def attributes(image: np.ndarray, scales: Sequence[float] = (1.5, 3.0)) -> np.ndarray:
    """Moment invariants, edge strength and intensity about every voxel, at several scales.

    With the moments ``M_pqr = sum_y g(y - x) (y - x)^(p, q, r) f(y)`` under a Gaussian, per scale:
    ``M_000``; the invariants of the matrix of second moments under rotation, which are in a volume
    ``I1 = M_200 + M_020 + M_002``, ``I2`` (the sum of its principal minors) and ``I3`` (its
    determinant), each as the root of its degree; and ``|grad|``. The intensity itself comes first.

    HAMMER computes them of maps of tissues; here they are those of intensities.

    Args:
        image: ``(*spatial,)``, 2-D or 3-D.
        scales: standard deviations of the Gaussians, in voxels.

    Returns:
        float32 ``(*spatial, channels)``: 1 + 5 per scale in a volume, 1 + 4 in an image.

    Raises:
        InputError: on another number of axes, or scales that are not positive.

    Example:

    >>> import numpy as np
    >>> from tfreg.features import attributes
    >>> attributes(np.random.default_rng(0).random((9, 8, 10))).shape
    (9, 8, 10, 11)

    Reference:
        D. Shen and C. Davatzikos, HAMMER: hierarchical attribute matching mechanism for elastic
        registration, IEEE TMI 21(11), 2002.
    """
    values = _checked(image)
    if not len(scales) or not min(scales) > 0:
        raise InputError(f"scales must be positive. Received: scales={tuple(scales)}")
    channels = [values]
    for scale in scales:
        channels += _of_scale(values, float(scale))
    return np.stack(channels, axis=-1).astype("float32")


def raw_patches(image: np.ndarray, size: int = 5) -> np.ndarray:
    """The cube of voxels about every voxel, as channels; mirrored at the borders.

    Args:
        image: ``(*spatial,)``, 2-D or 3-D.
        size: odd, voxels along each axis.

    Returns:
        float32 ``(*spatial, size ** ndim)``.

    Raises:
        InputError: on another number of axes, or a size that is even.

    Example:

    >>> import numpy as np
    >>> from tfreg.features import raw_patches
    >>> raw_patches(np.arange(12.0).reshape(3, 4), size=3)[1, 1].tolist()
    [0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 8.0, 9.0, 10.0]
    """
    values = _checked(image)
    if size < 1 or size % 2 == 0:
        raise InputError(f"size must be odd and positive. Received: size={size}")
    wide = np.pad(values, size // 2, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (size,) * values.ndim)
    return windows.reshape(*values.shape, -1)


def _checked(image: np.ndarray) -> np.ndarray:
    values = np.asarray(image)
    if values.ndim not in (2, 3) or values.dtype.kind not in "biuf":
        raise InputError(
            "image must be one 2-D or 3-D image of real numbers. "
            f"Received: shape={values.shape}, dtype={values.dtype}"
        )
    return values.astype("float32")


def _of_scale(values: np.ndarray, scale: float) -> list[np.ndarray]:
    from scipy import ndimage

    ndim, reach = values.ndim, max(1, round(3 * scale))
    away = np.arange(-reach, reach + 1) / scale
    window = np.exp(-0.5 * away**2)
    taps = [window * away**power / window.sum() for power in range(3)]

    def moment(*powers: int) -> np.ndarray:
        found = values
        for axis, power in enumerate(powers):
            found = ndimage.correlate1d(found, taps[power], axis, mode="mirror")
        return found

    units = np.eye(ndim, dtype=int)
    second = np.empty((*values.shape, ndim, ndim))
    for a in range(ndim):
        for b in range(a, ndim):
            second[..., a, b] = second[..., b, a] = moment(*(units[a] + units[b]))
    blurred = moment(*[0] * ndim)
    trace = np.trace(second, axis1=-2, axis2=-1)
    square = np.einsum("...ij,...ij->...", second, second)
    minors = (trace**2 - square) / 2
    invariants = [trace, np.sign(minors) * np.sqrt(np.abs(minors))]
    if ndim == 3:
        invariants.append(np.cbrt(np.linalg.det(second)))
    edge = np.sqrt(sum(part**2 for part in np.gradient(blurred)))
    return [blurred, *invariants, edge]
