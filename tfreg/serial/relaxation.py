"""One map per section from the answers of all pairs, and what of it is not the knife's."""

from collections.abc import Mapping

import numpy as np

from tfreg.errors import InputError
from tfreg.serial import lattice

_GAUGE = 1e-8  # of the squares of the maps: what all sections share is zero, nothing else is held
SMOOTHNESS = 1e-2
_ROUNDS = 4  # answers are looked up where the maps of the round before lead


def relax(
    answers: Mapping[tuple[int, int], np.ndarray],
    count: int,
    step: int,
    smoothness: float = SMOOTHNESS,
) -> np.ndarray:
    """The displacement of each section that agrees best with the answers of all pairs.

    ``min_w sum_kl |w_l(x) - w_k(x) - u_kl(x + w_k(x))|^2 / |l - k| + s sum_k |grad w_k(x)|^2``: a
    point of the aligned stack is at ``x + w_k(x)`` in section ``k``, and ``u_kl`` takes it from
    there to section ``l``. Along the stack these are springs between sections, and the smooth prior
    is one for every wave within a section: both are diagonal in their eigenvectors and in cosines.
    Since ``u`` is looked up where the last round led, a few rounds of least squares do. What all
    sections share no pair can tell: it is zero.

    A chain of neighbours alone adds up what each pair misses. Pairs further apart hold it in place,
    and where it would become rough, the prior.

    Args:
        answers: for pairs ``(k, l)``, ``k < l``, the displacement ``(rows, columns, 2)`` in px on
            the lattice from section ``k`` to section ``l``.
        count: number of sections.
        step: px between the points of the lattice.
        smoothness: ``s``, for differences of neighbouring points of the lattice; 0 or more. A wave
            of 25 points within the sections is held to about ``4 / sqrt(s)`` sections.

    Returns:
        ``(count, rows, columns, 2)`` px.

    Raises:
        InputError: on no answers, answers of several shapes, or pairs that are none.

    Example:

    >>> import numpy as np
    >>> from tfreg.serial import relax
    >>> shift = {(k, k + 1): np.full((2, 2, 2), 3.0) for k in range(2)}
    >>> relax(shift, 3, step=8).round(2)[:, 0, 0, 0].tolist()
    [-3.0, 0.0, 3.0]
    """
    shapes = {np.shape(answer) for answer in answers.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 3:
        raise InputError(
            "answers must hold a displacement (rows, columns, 2) of one shape per pair. "
            f"Received: {len(answers)} answers of shapes {sorted(shapes)}"
        )
    wrong = [pair for pair in answers if not 0 <= pair[0] < pair[1] < count]
    if wrong or not smoothness >= 0:
        raise InputError(
            f"Pairs must be (k, l) with k < l < {count}, and smoothness 0 or more. "
            f"Received: {wrong}, smoothness={smoothness}"
        )
    from scipy.fft import dctn, idctn

    shape = next(iter(shapes))
    places = step * np.moveaxis(np.indices(shape[:2], dtype="float64"), 0, -1)
    springs = np.zeros((count, count))
    for k, l in answers:  # noqa: E741
        weight = 1 / (l - k)
        springs[[k, l], [k, l]] += weight
        springs[[k, l], [l, k]] -= weight
    stiffness, modes = np.linalg.eigh(springs)
    rows, columns = (2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in shape[:2])
    rough = smoothness * (rows[:, None] + columns)[..., None]
    stiffness = _GAUGE + np.maximum(stiffness, 0)[:, None, None, None] + rough
    maps = np.zeros((count, *shape))
    for _ in range(_ROUNDS):
        pulls = np.zeros_like(maps)
        for (k, l), answer in answers.items():  # noqa: E741
            pull = lattice.at(answer, places + maps[k], step) / (l - k)
            pulls[l] += pull
            pulls[k] -= pull
        waves = np.tensordot(modes.T, dctn(pulls, axes=(1, 2), norm="ortho"), axes=1) / stiffness
        maps = idctn(np.tensordot(modes, waves, axes=1), axes=(1, 2), norm="ortho")
    return maps


def without_drift(maps: np.ndarray, period: float) -> np.ndarray:
    """What of the maps changes sooner along the stack than a period.

    The assumption: a knife deforms each section anew, so that what stays the same from section to
    section, or changes slowly, is the shape of the tissue (or has added up in registering), and
    nothing that should be undone. The slow part is a Gaussian mean along the stack. Where sections
    were distorted slowly, as by a lens, this keeps the distortion: switch it off.

    Args:
        maps: ``(sections, ...)``, as :func:`relax` answers them.
        period: sections; a wave of that length loses half of its height.

    Returns:
        Maps of the same shape.

    Raises:
        InputError: on a period that is not positive, or not finite.

    Example:

    >>> import numpy as np
    >>> from tfreg.serial import without_drift
    >>> slow = np.linspace(0, 5, 200)[:, None]
    >>> float(np.abs(without_drift(slow, 10.0)).max()) < 0.1
    True
    """
    if not (period > 0 and np.isfinite(period)):
        raise InputError(f"period must be positive. Received: period={period}")
    from scipy.ndimage import gaussian_filter1d

    # exp(-(2 pi sigma / period)^2 / 2) = 1/2
    sigma = period * np.sqrt(2 * np.log(2)) / (2 * np.pi)
    # Reflected over and over, a wider mean is that of the whole stack.
    radius = int(min(4 * sigma + 0.5, 4 * len(maps)))
    values = np.asarray(maps, "float64")
    return maps - gaussian_filter1d(values, sigma, axis=0, mode="reflect", radius=radius)
