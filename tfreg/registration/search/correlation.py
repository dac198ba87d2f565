"""Normalised cross-correlation: of all translations of a rotated image at once, and of poses.

Only what both images show counts: each sum runs over the voxels of the fixed image that lie inside
the moving one, so that neither the border of a field of view nor what is beyond it is compared.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.ops.backend import from_spectrum, spectrum
from tfreg.registration.instance.adam import minimiser

# Shares of the smaller field below which nothing is compared: few voxels agree by chance.
# Powers of the share: among all translations a small part agrees easily; of poses that were refined
# the right one must not lose to one that shows a little more.
_OF_MANY, _OF_FEW = 0.5, 0.125
_LEAST = 0.2
_FLAT = 1e-4  # variance within the overlap that is none, of intensities in [0, 1]


@functools.lru_cache(maxsize=16)
def translations(fixed: int, moving: int, period: int, ndim: int) -> Callable:
    """Compiled: the best translation of each rotation.

    Args:
        fixed, moving: voxels per axis of the cube of the fixed image, and of that in which the
            rotated moving image is seen.
        period: of the correlation, ``fixed + moving - 1`` or more.
        ndim: number of axes.

    Returns:
        A function ``(fixed values, fixed weights, moving values, moving weights, matrices) ->
        (scores, shifts)`` of cubes ``(n, ..., n)`` and ``(rotations, ndim, ndim)`` from steps of
        the fixed cube to steps of the moving one; ``shifts`` ``(rotations, ndim)`` in voxels of the
        fixed cube, before which the rotation is applied.

    Reference:
        Padfield, Masked object registration in the Fourier domain, IEEE TIP 21(5), 2012.
    """
    place = np.moveaxis(np.indices((moving,) * ndim), 0, -1).reshape(-1, ndim) - (moving - 1) / 2
    # Voxel y of the fixed cube meets voxel y + s of the other: centred, s less half the excess.
    middle = (moving - fixed) // 2
    steps = (np.arange(period) - middle + period // 2) % period - period // 2
    offset = (moving - fixed) / 2 - middle
    beyond = [(0, 0)] + [(0, period - fixed)] * ndim
    ahead = [(0, 0)] + [(0, period - moving)] * ndim

    def run(values: Any, weights: Any, others: Any, shares: Any, matrices: Any) -> tuple[Any, Any]:
        count, size = matrices.shape[0], others.shape[0]
        where = keras_ops.einsum("pj,rij->rpi", place.astype("float32"), matrices)
        where = keras_ops.reshape(where + (size - 1) / 2, (1, -1, ndim))
        seen = ops.sample(others[None, ..., None], where, image_gradient=False)
        there = ops.sample(shares[None, ..., None], where, mode="constant", image_gradient=False)
        seen, there = (
            keras_ops.reshape(part, (count, *(moving,) * ndim)) for part in (seen, there)
        )
        fixed_sides = (weights, values * weights, values * values * weights)
        moving_sides = (there, seen * there, seen * seen * there)
        first = [spectrum(keras_ops.pad(s[None], beyond), ndim) for s in fixed_sides]
        second = [spectrum(keras_ops.pad(s, ahead), ndim) for s in moving_sides]

        def correlated(one: int, other: int) -> Any:
            (a, b), (c, d) = first[one], second[other]
            return from_spectrum(a * c + b * d, a * d - b * c, (period,) * ndim)

        number = correlated(0, 0)
        sums = correlated(1, 0), correlated(0, 1)
        squares = correlated(2, 0), correlated(0, 2)
        least = keras_ops.minimum(
            keras_ops.sum(weights), keras_ops.sum(there, axis=tuple(range(1, ndim + 1)))
        )
        least = keras_ops.reshape(least, (-1,) + (1,) * ndim)
        scores = _score(number, sums, squares, correlated(1, 1), least, _OF_MANY)
        flat = keras_ops.reshape(scores, (count, -1))
        best = keras_ops.argmax(flat, axis=1)
        shifts = []
        for axis in range(ndim):
            index = best // period ** (ndim - 1 - axis) % period
            shifts.append(keras_ops.take(keras_ops.cast(steps, "float32"), index))
        return keras_ops.max(flat, axis=1), keras_ops.stack(shifts, axis=-1) - offset

    words = f"translations {fixed} {moving} {period} {ndim}"
    return ops.compiled(run, identity=words)


@functools.lru_cache(maxsize=16)
def poses(ndim: int) -> Callable:
    """Compiled: a descent of many poses of one pair, see
    :func:`tfreg.registration.instance.adam.minimiser`.

    Parameters ``(poses, n)`` are those of a rigid transform about the centre of the fixed cube, in
    voxels of it, by which a turn moves its border. The data are the cubes' values and weights,
    ``steps`` of the fixed cube, ``back`` (mm to voxels of the moving one), and of each pose
    ``matrices`` and ``shifts`` in mm: ``p -> A (R p + t) + b`` about both centres.
    """

    def losses(
        parameters: Any,
        values: Any,
        weights: Any,
        others: Any,
        shares: Any,
        steps: Any,
        back: Any,
        matrices: Any,
        shifts: Any,
    ) -> Any:
        count, size, other = parameters.shape[0], values.shape[0], others.shape[0]
        index = np.moveaxis(np.indices((size,) * ndim), 0, -1).reshape(-1, ndim) - (size - 1) / 2
        points = keras_ops.einsum("pj,ij->pi", index.astype("float32"), steps)
        whole = moved(parameters, steps, matrices, shifts, size)
        linear = keras_ops.einsum("ki,rij->rkj", back, whole[:, :, :ndim])
        where = keras_ops.einsum("pj,rij->rpi", points, linear)
        where = where + keras_ops.einsum("ki,ri->rk", back, whole[:, :, ndim])[:, None]
        where = keras_ops.reshape(where + (other - 1) / 2, (1, -1, ndim))
        seen = ops.sample(others[None, ..., None], where, image_gradient=False)
        there = ops.sample(
            shares[None, ..., None],
            keras_ops.stop_gradient(where),
            mode="constant",
            image_gradient=False,
        )
        seen, there = (keras_ops.reshape(part, (count, -1)) for part in (seen, there))
        flat = keras_ops.reshape(values, (1, -1))
        there = there * keras_ops.reshape(weights, (1, -1))

        def total(part: Any) -> Any:
            return keras_ops.sum(part, axis=1)

        number = total(there)
        weighted, known = seen * there, flat * there
        sums = total(known), total(weighted)
        squares = total(flat * known), total(seen * weighted)
        least = keras_ops.minimum(keras_ops.sum(weights), keras_ops.sum(shares))
        return -_score(number, sums, squares, total(flat * weighted), least, _OF_FEW)

    return minimiser(losses, f"poses {ndim}")


def moved(parameters: Any, steps: Any, matrices: Any, shifts: Any, size: int) -> Any:
    """``[A R | A t + b]`` of parameters and poses in mm, ``(poses, ndim, ndim + 1)``."""
    ndim = steps.shape[0]
    edge = keras_ops.sqrt(keras_ops.sum(steps * steps) / ndim)
    scale = np.full(parameters.shape[-1], 2 / size)
    scale[:ndim] = 1
    scaled = parameters * keras_ops.convert_to_tensor(scale, parameters.dtype)
    rigid = ops.linear_matrix(scaled, "rigid", (1,) * ndim)
    turned = keras_ops.einsum("rij,rjk->rik", matrices, rigid[:, :, :ndim])
    shift = shifts + edge * keras_ops.einsum("rij,rj->ri", matrices, rigid[:, :, ndim])
    return keras_ops.concatenate([turned, shift[..., None]], axis=-1)


def _score(number: Any, sums: tuple, squares: tuple, product: Any, whole: Any, power: float) -> Any:
    """NCC times a power of the share of the smaller field that both show; -1 where that is too
    little, or shows nothing."""
    count = keras_ops.maximum(number, 1e-3 * whole)
    spread = [
        square / count - (total / count) * (total / count)
        for square, total in zip(squares, sums, strict=True)
    ]
    covariance = product / count - sums[0] / count * (sums[1] / count)
    scale = keras_ops.sqrt(
        keras_ops.maximum(spread[0], _FLAT) * keras_ops.maximum(spread[1], _FLAT)
    )
    share = keras_ops.stop_gradient(number / whole)
    enough = keras_ops.logical_and(share >= _LEAST, keras_ops.minimum(*spread) > _FLAT)
    value = covariance / scale * keras_ops.clip(share, 0.0, 1.0) ** power
    return keras_ops.where(enough, value, -1.0)
