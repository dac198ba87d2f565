"""MIND-SSC: the self-similarity context of each voxel, which knows no contrast."""

import functools
import itertools
import numbers
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.losses.box import box_sum
from tfreg.losses.means import mean
from tfreg.ops.precision import at_least_float32

PAIRS = {2: 4, 3: 12}  # channels, by the number of spatial axes
_SLAB = 2**21  # voxels that are worked on at a time, 12 channels of which are 100 MB
_LIMITS = 1e-3, 1e3  # of a voxel's variance, in units of the mean over the image
_LEAST = 1e-20  # of a variance: a constant image has the descriptor 1 everywhere


def mind_ssc(image: Any, radius: int = 1, dilation: int = 1) -> Any:
    """``S_k(x) = exp(-(D_k(x) - min_j D_j(x)) / V(x))``: the self-similarity context of each voxel.

    ``D_k(x) = mean_o (I(x + a_k + o) - I(x + b_k + o))^2`` compares two patches beside ``x``, ``o``
    over the cube of ``2 radius + 1`` voxels. ``a_k`` and ``b_k`` are ``dilation`` voxels from ``x``
    along two different axes: of the six neighbours of a voxel the 12 pairs that are not opposite,
    in two dimensions of the four neighbours the 4 such pairs. The variance ``V`` is the mean of the
    exponents' numerators over ``k``, but at least 1/1000 and at most 1000 times its mean over the
    image. The image goes on as at its border. So the largest of a voxel's channels is 1, and
    neither ``a I + b`` nor, about an edge, another contrast changes them.

    It is computed in slabs along the first axis, so that beside the image and twice the answer
    memory does not grow with the number of slices.

    Args:
        image: tensor ``(batch, *spatial, 1)`` of known shape, 2-D or 3-D.
        radius: of the patches, in voxels, 0 or more.
        dilation: distance of the patches from the voxel, in voxels, 1 or more.

    Returns:
        Tensor ``(batch, *spatial, 12)``, in 2-D ``(batch, *spatial, 4)``, in (0, 1]; float32, or
        float64 where the image is. The channels are in the order of ``itertools.combinations``
        over the neighbours ``-e_0, +e_0, -e_1, ...`` less the opposite ones.

    Raises:
        ValueError: if the shape is not known or not that of images of one channel, or a number is
            out of range.

    Example:

    >>> import numpy as np
    >>> from tfreg.features import mind_ssc
    >>> image = np.random.default_rng(0).random((1, 8, 9, 10, 1)).astype("float32")
    >>> mind_ssc(image).shape == (1, 8, 9, 10, 12)
    True
    >>> same = mind_ssc(3 - 2 * image)
    >>> bool(abs(np.asarray(same) - np.asarray(mind_ssc(image))).max() < 1e-3)
    True

    Reference:
        Heinrich et al., Towards realtime multimodal fusion for image-guided interventions using
        self-similarities, MICCAI 2013; the order of normalisation and the limits of the variance
        are those of its authors' code.
    """
    image = _checked(image, radius, dilation)
    padded = _continued(image, radius + dilation)
    core = tuple(image.shape[1:-1])
    slabs = list(_slabs(core, radius + dilation))
    usual = _usual_variance(padded, slabs, core, radius, dilation)
    run = _descriptors(len(core), radius, dilation)
    parts = [run(padded[:, rows], usual)[:, kept] for rows, _, kept in slabs]
    return parts[0] if len(parts) == 1 else keras_ops.concatenate(parts, axis=1)


def mind_ssc_on_grids(
    image: np.ndarray,
    factors: Sequence[tuple[int, ...]],
    radius: int = 1,
    dilation: int = 1,
) -> dict[tuple[int, ...], np.ndarray]:
    """:func:`mind_ssc` of an image, averaged to coarser grids as :func:`tfreg.ops.downsample` does.

    What is averaged are the descriptors of the image itself, which an image that was shrunk first
    no longer shows. Those at full resolution are never held as a whole, where no grid asks for
    them.

    Args:
        image: ``(batch, *spatial, 1)``.
        factors: the factors of each grid, an integer per axis; all 1: the descriptors themselves.
        radius, dilation: as in :func:`mind_ssc`.

    Returns:
        Float32 arrays ``(batch, *ceil(spatial / factors), channels)``, by factors.

    Raises:
        ValueError: as :func:`mind_ssc`, and where factors do not fit the image.

    Example:

    >>> import numpy as np
    >>> from tfreg.features import mind_ssc_on_grids
    >>> image = np.random.default_rng(0).random((1, 9, 8, 1))
    >>> {f: found.shape for f, found in mind_ssc_on_grids(image, [(1, 1), (2, 4)]).items()}
    {(1, 1): (1, 9, 8, 4), (2, 4): (1, 5, 2, 4)}
    """
    image = keras_ops.cast(_checked(image, radius, dilation), "float32")
    core = tuple(image.shape[1:-1])
    grids = {tuple(map(int, one)) for one in factors}
    padded = _continued(image, radius + dilation)
    slabs = list(_slabs(core, radius + dilation))
    usual = _usual_variance(padded, slabs, core, radius, dilation)
    run, found = _descriptors(len(core), radius, dilation), {}
    for rows, place, kept in slabs:
        descriptors = run(padded[:, rows], usual)
        for grid in grids:
            # Across the slabs now; along them when all of them are there.
            part = _to_numpy(_averaged((1, *grid[1:]))(descriptors))[:, kept]
            if grid not in found:
                found[grid] = np.empty((part.shape[0], core[0], *part.shape[2:]), "float32")
            found[grid][:, place] = part
    return {
        grid: _along_first(part, grid[0]) if grid[0] > 1 else part for grid, part in found.items()
    }


def _checked(image: Any, radius: Any, dilation: Any) -> Any:
    for name, value, least in (("radius", radius, 0), ("dilation", dilation, 1)):
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or value < least:
            raise ValueError(
                f"{name} must be an integer, {least} or more. Received: {name}={value!r}"
            )
    image = at_least_float32(image)
    shape = tuple(image.shape)
    if len(shape) not in (4, 5) or shape[-1] != 1 or None in shape[1:]:
        raise ValueError(
            "image must be (batch, *spatial, 1) of known shape, 2-D or 3-D. "
            f"Received: image.shape={shape}"
        )
    return image


def _continued(image: Any, margin: int) -> Any:
    """The image with a margin of the values at its border."""
    for axis, size in enumerate(image.shape[1:-1], start=1):
        rows = np.clip(np.arange(-margin, size + margin), 0, size - 1).astype("int32")
        image = keras_ops.take(image, rows, axis=axis)
    return image


def _slabs(core: tuple[int, ...], margin: int) -> Iterator[tuple[slice, slice, slice]]:
    """Rows of the continued image, where in the answer they belong, and which of them are new.

    All are of one thickness, for which a function is compiled once; the last overlaps with the one
    before.
    """
    thickness = min(core[0], max(1, _SLAB // int(np.prod(core[1:]))))
    for first in range(0, core[0], thickness):
        begin = min(first, core[0] - thickness)
        yield (
            slice(begin, begin + thickness + 2 * margin),
            slice(first, begin + thickness),
            slice(first - begin, thickness),
        )


def _neighbours(ndim: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The pairs of neighbours of a voxel that are not opposite."""
    around = [sign * row for row in np.eye(ndim, dtype=int) for sign in (-1, 1)]
    return [(a, b) for a, b in itertools.combinations(around, 2) if (a + b).any()]


def _distances(block: Any, radius: int, dilation: int) -> Any:
    """``D_k - min_j D_j`` inside a block with its margin, ``(batch, *core, pairs)``."""
    ndim, margin = len(block.shape) - 2, radius + dilation
    core = [size - 2 * margin for size in block.shape[1:-1]]

    def beside(step: np.ndarray) -> Any:
        """The block moved by a neighbour's offset, with the margin that patches need."""
        begins = dilation + dilation * step
        return block[
            (
                slice(None),
                *(slice(b, b + n + 2 * radius) for b, n in zip(begins, core, strict=True)),
            )
        ]

    differences = [beside(a) - beside(b) for a, b in _neighbours(ndim)]
    differences = keras_ops.concatenate(differences, axis=-1)
    sums = box_sum(differences * differences, (2 * radius + 1,) * ndim)
    inner = (slice(None), *(slice(radius, radius + n) for n in core))
    distances = sums[inner] / (2 * radius + 1) ** ndim
    return distances - keras_ops.min(distances, axis=-1, keepdims=True)


@functools.lru_cache(maxsize=16)
def _descriptors(ndim: int, radius: int, dilation: int) -> Callable:
    """Compiled: descriptors inside a block with its margin, from it and the usual variance."""

    def run(block: Any, usual: Any) -> Any:
        distances = _distances(block, radius, dilation)
        variance = keras_ops.mean(distances, axis=-1, keepdims=True)
        usual = keras_ops.reshape(usual, (-1,) + (1,) * (ndim + 1))
        variance = keras_ops.minimum(variance, _LIMITS[1] * usual)
        variance = keras_ops.maximum(variance, _LIMITS[0] * usual)
        return keras_ops.exp(-distances / keras_ops.maximum(variance, _LEAST))

    return ops.compiled(run, identity=f"mind_ssc {ndim} {radius} {dilation}")


@functools.lru_cache(maxsize=16)
def _variance(ndim: int, radius: int, dilation: int) -> Callable:
    """Compiled: the mean of ``V`` inside a block with its margin, ``(batch,)``."""

    def run(block: Any) -> Any:
        return mean(_distances(block, radius, dilation))

    return ops.compiled(run, identity=f"mind_ssc variance {ndim} {radius} {dilation}")


def _usual_variance(
    padded: Any, slabs: Sequence[Any], core: tuple[int, ...], radius: int, dilation: int
) -> Any:
    """The mean of ``V`` over each image, ``(batch,)``; slabs without overlap, then what is left."""
    margin, thickness = radius + dilation, slabs[0][1].stop - slabs[0][1].start
    run, total = _variance(len(core), radius, dilation), 0.0
    for first in range(0, core[0], thickness):
        count = min(thickness, core[0] - first)
        total = total + count / core[0] * run(padded[:, first : first + count + 2 * margin])
    return total


@functools.lru_cache(maxsize=64)
def _averaged(factors: tuple[int, ...]) -> Callable:
    return ops.compiled(
        functools.partial(ops.downsample, factors=factors), identity=f"averaged {factors}"
    )


def forget_descriptors() -> None:
    """Drops the functions that were compiled for descriptors, and their memory."""
    for function in (_descriptors, _variance, _averaged):
        function.cache_clear()


def _along_first(values: np.ndarray, factor: int) -> np.ndarray:
    """Averages the first spatial axis, a part of the second at a time."""
    run = _averaged((factor,) + (1,) * (values.ndim - 3))
    width = max(1, _SLAB // int(np.prod(values.shape[1:2] + values.shape[3:-1])))
    parts = [
        _to_numpy(run(values[:, :, first : first + width]))
        for first in range(0, values.shape[2], width)
    ]
    return np.concatenate(parts, axis=2)


def _to_numpy(values: Any) -> np.ndarray:
    return keras_ops.convert_to_numpy(values)
