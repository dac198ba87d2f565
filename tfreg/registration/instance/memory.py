"""How much memory an instance optimisation will need, before it starts."""

from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.registration.instance.pyramid import Pyramid
from tfreg.registration.instance.similarity import Similarity, depth, names_of

# Peak memory in float32 values per voxel of the largest level and pair, rounded up from
# `python -m benchmarks run optimise-growth` less what compiling takes. Of LDDMM, which keeps the
# stages of all steps in time, it is what volumes of 72 voxels an edge need beyond those of 48.
_VALUES_PER_VOXEL = {"lddmm": 700, "velocity": 512, "lncc": 120, "lncc5": 120, "dense": 120}
_OTHERS = 48
_OWN = 120  # of a similarity of one's own
_CHANNEL = 16  # of each channel beyond the first
_COMPILING = 2**28
_REGIONS = 8000  # of memory: some 4000 are of one volume of four levels, affine and B-splines


def estimate(
    images: dict[str, np.ndarray], kinds: tuple[str, ...], pyramids: Any, similarity: Similarity
) -> int:
    """Bytes that the registration will need, images included: a guess on the safe side."""
    batch, *shape, channels = images["fixed"].shape
    larger = max(1.0, images["moving"].size / images["fixed"].size)
    most = 0.0
    names = names_of(similarity)
    own = max((_VALUES_PER_VOXEL.get(name, _OTHERS) for name in names), default=_OWN)
    seen = depth(similarity, channels, len(shape))
    for kind, stage in zip(kinds, pyramids, strict=True):
        values = max(_VALUES_PER_VOXEL.get(kind, _OTHERS), own) + _CHANNEL * (seen - 1)
        for level in stage.levels:
            factors = level.shrink_of(len(shape))
            voxels = np.prod([-(-n // f) for n, f in zip(shape, factors, strict=True)], dtype=float)
            most = max(most, 4 * batch * voxels * larger * values)
    # The answers on the full grid, those of all transforms at once while they compile.
    at_the_end = 4 * batch * np.prod(shape, dtype=float) * larger * 16 * len(kinds)
    return _COMPILING + int(max(most, at_the_end)) + sum(array.nbytes for array in images.values())


def available() -> int | None:
    """Bytes that this machine can still give, or ``None`` where it does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def maps() -> tuple[int, int] | None:
    """Regions of memory that this process has and may have, or ``None`` where none tells."""
    try:
        with open("/proc/sys/vm/max_map_count", encoding="ascii") as file:
            most = int(file.read())
        with open("/proc/self/maps", "rb") as file:
            return sum(1 for _ in file), most
    except (OSError, ValueError):
        return None


def check_maps() -> None:
    """Raises ``InputError`` where the system would end this process for compiling once more.

    XLA keeps each kernel of each compiled function in regions of its own, for good: up to thousands
    for each size of image, each transform and each similarity.
    """
    found = maps()
    if found is not None and found[0] > found[1] - _REGIONS:
        raise InputError(
            "This process has compiled for so many sizes and settings that it may not compile once "
            "more: register the rest in a new one, or raise vm.max_map_count. "
            f"Received: {found[0]} regions of memory of {found[1]}"
        )


def check_memory(
    images: dict[str, np.ndarray],
    kinds: tuple[str, ...],
    pyramids: tuple[Pyramid, ...],
    similarity: Similarity,
) -> None:
    """Raises ``InputError`` where the estimate exceeds what the machine has."""
    there, needed = available(), estimate(images, kinds, pyramids, similarity)
    if there is not None and needed > there:
        raise InputError(
            f"This registration needs about {needed / 2**30:.1f} GiB and {there / 2**30:.1f} GiB "
            "are free: take a pyramid whose finest level is shrunk, or a smaller batch. "
            f"Received: fixed {images['fixed'].shape[:-1]}"
        )
