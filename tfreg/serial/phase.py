"""Phase correlation: how far, and how much turned, one section lies from another.

It sees the whole plane at once, so that no start is too far away: a start for what is optimised.
"""

import itertools

import numpy as np

from tfreg.errors import InputError
from tfreg.registration.images import as_image

_SEARCHED = 128  # px of the longer side at which rotations are tried
_MEASURED = 512  # px at which the shift is measured in the end
_STEP = 2.0  # degrees from one rotation tried to the next
_WIDTH = 0.12  # of the Gaussian that weights frequencies, in cycles per px
_TRIED = 5  # peaks
_APART = 4  # px at least between them
_OVERLAP = 0.2  # the least share of a section that two show in common


def phase_correlation(fixed: np.ndarray, moving: np.ndarray, degrees: float = 0.0) -> np.ndarray:
    """The translation, or rigid motion, from one image to another.

    The phases of both spectra differ as those of a shift do: ``conj(F) M / |F M|`` is the spectrum
    of a peak at the shift, found between pixels by a parabola. Frequencies are weighted by a
    Gaussian, since the highest ones are noise. Of the highest peaks, and no shift at all, the one
    is taken with which both images are most alike. Rotations are tried one after the other.

    Args:
        fixed: ``(height, width)``.
        moving: an image of the same shape.
        degrees: the largest rotation that is tried; 0: none.

    Returns:
        ``(2, 3)`` matrix ``[A | b]`` from pixels of the fixed to pixels of the moving image,
        array-axis order: a ``start`` for :func:`tfreg.registration.register`.

    Raises:
        InputError: on images of other shapes, below 16 px or constant, or degrees that cannot be.

    Example:

    >>> import numpy as np
    >>> from tfreg.serial import phase_correlation
    >>> image = np.random.default_rng(0).random((64, 80))
    >>> phase_correlation(image, np.roll(image, (3, -5), axis=(0, 1))).round(1)[:, 2].tolist()
    [3.0, -5.0]

    Reference:
        Kuglin and Hines, The phase correlation image alignment method, IEEE Conference on
        Cybernetics and Society, 1975.
    """
    images = [as_image(v, 2, name)[..., 0] for v, name in ((fixed, "fixed"), (moving, "moving"))]
    if images[0].shape != images[1].shape or len(images[0]) != 1 or min(images[0].shape[1:]) < 16:
        raise InputError(
            "fixed and moving must have one shape, 16 px or more along each axis. "
            f"Received: {np.shape(fixed)} and {np.shape(moving)}"
        )
    if not 0 <= degrees <= 180:
        raise InputError(f"degrees must be 0 to 180. Received: degrees={degrees}")
    if any(image.min() == image.max() for image in images):
        raise InputError("A constant image has no phases. Received: one value everywhere")
    whole = [image[0].astype("float64") for image in images]
    angle = _angle(whole, degrees) if degrees else 0.0
    factor = -(-max(whole[0].shape) // _MEASURED)
    small = [_shrunk(image, factor) for image in whole]
    shift, _ = _shift(small[0], _turned(small[1], angle))
    # About which the small image was turned: what fills no block at the far borders was left out.
    centre = (factor * np.array(small[0].shape) - 1) / 2
    rotation = _rotation(angle)
    # The turned image shows at x what the moving one has at R (x - c) + c.
    offset = rotation @ (shift * factor - centre) + centre
    return np.concatenate([rotation, offset[:, None]], axis=1)


def _angle(images: list[np.ndarray], degrees: float) -> float:
    """The rotation with the highest peak: all of them coarsely, then about the best one."""
    factor = -(-max(images[0].shape) // _SEARCHED)
    fixed, moving = (_shrunk(image, factor) for image in images)

    def height(angle: float) -> float:
        return _shift(fixed, _turned(moving, angle))[1]

    count = int(np.ceil(degrees / _STEP))
    best = max(np.linspace(-degrees, degrees, 2 * count + 1), key=height)
    step = degrees / count
    while step > 0.1:
        step /= 2
        best = max((best, best - step, best + step), key=height)
    return float(np.clip(best, -degrees, degrees))


def _shift(fixed: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, float]:
    """The shift in px, and the height of its peak relative to that of equal images."""
    shape = fixed.shape
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in shape))
    first, second = (np.fft.rfft2(window * (v - v.mean())) for v in (fixed, moving))
    cross = np.conj(first) * second
    rows, columns = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    weights = np.exp(-(rows[:, None] ** 2 + columns**2) / (2 * _WIDTH**2))
    phases = weights * cross / np.maximum(np.abs(cross), 1e-12 * np.abs(cross).max())
    surface = np.fft.irfft2(phases, shape)
    tops = _peaks(surface)
    height = surface[tops[0]] / np.fft.irfft2(weights.astype(complex), shape)[0, 0]
    # Where sections differ much a false peak is the highest now and then; and one at t may be one
    # at t - n. What both images then show tells which; and no shift must be worse than some.
    places = [np.array([t + _vertex(surface, top, a) for a, t in enumerate(top)]) for top in tops]
    around = [
        itertools.product(*([p, p - n] for p, n in zip(q, shape, strict=True))) for q in places
    ]
    candidates = [np.zeros(2), *(np.array(c) for c in itertools.chain(*around))]
    return max(candidates, key=_Likeness(fixed, moving)), height


def _peaks(surface: np.ndarray) -> list[tuple[int, ...]]:
    """The highest places of a surface that are not neighbours, the highest first."""
    from scipy.ndimage import maximum_filter

    highest = surface == maximum_filter(surface, 2 * _APART + 1, mode="wrap")
    found = np.argwhere(highest)
    order = np.argsort(surface[highest])[::-1][:_TRIED]
    return [tuple(map(int, place)) for place in found[order]]


def _vertex(surface: np.ndarray, top: tuple, axis: int) -> float:
    """Where between pixels the parabola through the peak and its neighbours is highest."""
    before, after = (
        surface[tuple((t + s * (a == axis)) % surface.shape[a] for a, t in enumerate(top))]
        for s in (-1, 1)
    )
    bend = 2 * surface[top] - before - after
    return float((after - before) / (2 * bend)) if bend > 0 else 0.0


class _Likeness:
    """NCC of what two images show in common, by shift; of too little, none."""

    def __init__(self, fixed: np.ndarray, moving: np.ndarray) -> None:
        self.fixed, self.moving = fixed, moving

    def __call__(self, shift: np.ndarray) -> float:
        parts = []
        for image, sign in ((self.fixed, 1), (self.moving, -1)):
            steps = [round(sign * s) for s in shift]
            sizes = zip(steps, image.shape, strict=True)
            cuts = (slice(max(0, -s), min(n, n - s)) for s, n in sizes)
            parts.append(image[tuple(cuts)])
        if min(part.size for part in parts) < _OVERLAP * self.fixed.size:
            return -2.0
        one, other = (part - part.mean() for part in parts)
        scale = np.sqrt((one**2).sum() * (other**2).sum())
        return float((one * other).sum() / scale) if scale > 0 else -1.0


def _shrunk(image: np.ndarray, factor: int) -> np.ndarray:
    """Means of blocks; the rest at the far borders is left out."""
    height, width = (n // factor for n in image.shape)
    cropped = image[: height * factor, : width * factor]
    return cropped.reshape(height, factor, width, factor).mean(axis=(1, 3))


def _rotation(degrees: float) -> np.ndarray:
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])


def _turned(image: np.ndarray, degrees: float) -> np.ndarray:
    """``image(R (x - c) + c)``, beyond the border its mean."""
    if degrees == 0:
        return image
    from scipy.ndimage import affine_transform

    rotation, centre = _rotation(degrees), (np.array(image.shape) - 1) / 2
    offset = centre - rotation @ centre
    return affine_transform(image, rotation, offset, order=1, cval=float(image.mean()))
