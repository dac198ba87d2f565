"""Large volumes through the ConvNets of DLIR in overlapping tiles, within a budget of memory.

Only the convolutions take tiles: warping in between sees the whole volume. A tile has a margin as
wide as its innermost control points see, so that these come out as from the whole volume.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import losses, ops
from tfreg.errors import InputError
from zoo.dlir.affine import AffineConvNet

# float32 values per voxel that are there beside the features: images, displacements and what
# composing them needs; measured with `python -m benchmarks run dlir-cost`.
_VALUES_PER_VOXEL = 24
_FEATURE_MAPS = 3  # of full resolution at one time: input, output, workspace


def tile_size(
    model: Any, shape: Sequence[int], moving_shape: Sequence[int], memory_gib: float | None
) -> int | None:
    """Edge of the cubic tiles that keep within the budget, or ``None`` where none are needed.

    Args:
        model: a ``DLIR``.
        shape, moving_shape: ``(batch, *spatial, 1)`` of the fixed and of the moving image.
        memory_gib: the budget; ``None``: no limit.

    Raises:
        InputError: where not even the smallest tile fits.
    """
    if memory_gib is None:
        return None
    batch, sizes = shape[0], (shape[1:-1], moving_shape[1:-1])
    largest = max(math.prod(size) for size in sizes)
    kept = 4.0 * _VALUES_PER_VOXEL * batch * largest
    per_voxel = 4.0 * batch * (max(map(features, model.networks)) + 2) * _FEATURE_MAPS
    unit = max(network.step for network in model.networks)
    halo = np.max([network.halo for network in model.networks], axis=0).tolist()

    def needed(edge: int) -> float:
        tiles = (
            math.prod(min(n, edge + 2 * m) for n, m in zip(size, halo, strict=True))
            for size in sizes
        )
        return kept + per_voxel * max(tiles)

    longest = max(max(size) for size in sizes)
    fitting = [
        edge for edge in range(unit, longest + unit, unit) if needed(edge) <= memory_gib * 2**30
    ]
    if not fitting:
        least = 1.005 * needed(unit) / 2**30  # so that what is printed is never too little
        raise InputError(
            f"Images of {tuple(sizes[0])} voxels need at least {least:.3g} GiB. "
            f"Received: memory_gib={memory_gib}"
        )
    return None if fitting[-1] >= longest else fitting[-1]


def features(network: Any) -> float:
    """Most features of a ConvNet at one time, per voxel of the image."""
    most, shrunk = 0.0, 1
    for layer in network.convolutions:
        most = max(most, layer.convolution.filters / shrunk)
        if layer.pooling is not None:
            shrunk *= math.prod(layer.pooling.pool_size)
    return most


def parameters(model: Any, fixed: Any, moving: Any, count: int, tile: int) -> Any:
    """The parameters of the first stages, all in one row, their convolutions in tiles.

    Args:
        model: a ``DLIR``.
        fixed, moving: ``(batch, *spatial, 1)`` in [0, 1].
        count: number of stages.
        tile: edge of the tiles without their margins, in voxels.
    """
    shape = fixed.shape[1:-1]
    rows: list[Any] = []
    moved = moving
    for index, network in enumerate(model.networks[:count]):
        if rows:
            row = np.concatenate(rows, axis=1)
            moved = keras_ops.convert_to_numpy(_warp(model, moving, row, shape))
        if isinstance(network, AffineConvNet):
            vectors = [_vector(model, index, image, tile) for image in (fixed, moved)]
            own = network.regressed(*vectors, shape)
        else:
            own = _control_points(model, index, fixed, moved, tile)
        own = keras_ops.convert_to_numpy(own)
        own = own.reshape(len(own), -1)
        if model.keep == "better":
            both = (np.concatenate([*rows, one], axis=1) for one in (0 * own, own))
            without, found = (_alike(model, fixed, moving, row) for row in both)
            own = np.where((found >= without)[:, None], own, 0)
        rows.append(own)
    return np.concatenate(rows, axis=1)


def boxes(
    shape: Sequence[int], tile: int, halo: Sequence[int]
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Tiles that cover a volume: what each answers for, and what it has to see for that."""
    axes = []
    for size, margin in zip(shape, halo, strict=True):
        axes.append(
            [
                (
                    slice(begin, min(begin + tile, size)),
                    slice(max(begin - margin, 0), min(begin + tile + margin, size)),
                )
                for begin in range(0, size, tile)
            ]
        )
    for combination in itertools.product(*axes):
        inner, outer = zip(*combination, strict=True)
        yield inner, outer


def _warp(model: Any, moving: Any, row: Any, shape: Sequence[int]) -> Any:
    def warp(moving: Any, row: Any) -> Any:
        return ops.resample(moving, model.displacement(row, shape, moving.shape[1:-1]))

    return _kept(model, ("warp", tuple(shape), row.shape[1]), warp)(moving, row)


def _alike(model: Any, fixed: Any, moving: Any, row: Any) -> np.ndarray:
    """NCC of each pair under a row of parameters."""
    shape = fixed.shape[1:-1]

    def ncc(fixed: Any, moving: Any, row: Any) -> Any:
        displacement = model.displacement(row, shape, moving.shape[1:-1])
        return losses.ncc(fixed, ops.resample(moving, displacement))

    run = _kept(model, ("alike", tuple(shape), row.shape[1]), ncc)
    return keras_ops.convert_to_numpy(run(fixed, moving, row))


def _control_points(model: Any, index: int, fixed: Any, moved: Any, tile: int) -> np.ndarray:
    network = model.networks[index]
    shape = fixed.shape[1:-1]
    found = np.zeros((len(fixed), *network.grid(shape), model.ndim), "float32")
    run = _kept(model, ("features", index), lambda f, m: network(f, m, training=False))
    for inner, outer in boxes(shape, tile, network.halo):
        answer = keras_ops.convert_to_numpy(
            run(fixed[(slice(None), *outer)], moved[(slice(None), *outer)])
        )
        into, out_of = [], []
        for i, o, s in zip(inner, outer, network.spacing, strict=True):
            into.append(slice(i.start // s, math.ceil(i.stop / s)))
            out_of.append(slice((i.start - o.start) // s, math.ceil((i.stop - o.start) / s)))
        found[(slice(None), *into)] = answer[(slice(None), *out_of)]
    return found


def _vector(model: Any, index: int, image: Any, tile: int) -> np.ndarray:
    """The global average of features, added up over tiles."""
    network = model.networks[index]
    step = network.step
    run = _kept(model, ("vector", index), lambda part: network.features(part, training=False))
    total, voxels = 0.0, 0
    for inner, outer in boxes(image.shape[1:-1], tile, network.halo):
        features = keras_ops.convert_to_numpy(run(image[(slice(None), *outer)]))
        own = tuple(
            slice((i.start - o.start) // step, math.ceil((i.stop - o.start) / step))
            for i, o in zip(inner, outer, strict=True)
        )
        part = features[(slice(None), *own)]
        total = total + part.sum(axis=tuple(range(1, part.ndim - 1)), dtype="float64")
        voxels += math.prod(part.shape[1:-1])
    return (total / voxels).astype("float32")


def _kept(model: Any, key: tuple, function: Callable) -> Callable:
    """A graph that is made once per model."""
    if key not in model.kept_graphs:
        model.kept_graphs[key] = ops.graph(function, model.variables)
    return model.kept_graphs[key]
