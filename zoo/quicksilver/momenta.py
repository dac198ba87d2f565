"""Momenta to learn from: LDDMM on many pairs, kept on disk pair by pair.

``python -m zoo.quicksilver.momenta quicksilver-oasis2d --out runs/quicksilver-oasis2d`` makes those
of a recipe, before it trains or while it is not yet time to. It can be stopped at any moment, and
goes on where it was.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfreg import io
from tfreg.errors import InputError
from tfreg.ops import FluidOperator
from tfreg.registration import Level, Pyramid, register

# The paper's energy; half the resolution spares most of the evaluations of the whole.
WEIGHT = 2 * 0.2**2
# Raised where LDDMM finds other momenta with the same settings: those that were made are refused.
_OPTIMISATION = 2
LO = Pyramid((Level(shrink=2, steps=25, weight=WEIGHT), Level(steps=15, weight=WEIGHT)))


@dataclass(frozen=True, eq=False)
class Examples:
    """Images, and which of them are registered to which.

    Attributes:
        images: ``(n, *spatial)`` float32 in [0, 1].
        pairs: ``(count, 2)``: of each the fixed and the moving image.
        stated: size of a voxel per axis in mm; ``None``: not known, a voxel is taken for one.
    """

    images: np.ndarray
    pairs: np.ndarray
    stated: tuple[float, ...] | None = None

    @property
    def spacing(self) -> tuple[float, ...]:
        """The size of a voxel that the metric sees."""
        return self.stated or (1.0,) * (self.images.ndim - 1)

    def __len__(self) -> int:
        return len(self.pairs)

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The fixed and the moving image of one pair."""
        fixed, moving = self.pairs[index]
        return self.images[fixed], self.images[moving]


class Kept:
    """Arrays that are made once and kept in a folder, a file for each.

    Args:
        folder: made if absent.
        identity: what decides the arrays; with another one the folder is refused.

    Raises:
        InputError: if the folder holds others.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.folder = Path(folder)
        note = self.folder / "identity.json"
        text = json.dumps(identity, indent=1, sort_keys=True) + "\n"
        if not note.exists():
            io.write_together(
                self.folder, {note.name: lambda path: path.write_text(text, encoding="utf-8")}
            )
        elif note.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{self.folder} holds what was made with other settings; choose another folder, or "
                "delete it to start anew."
            )

    def missing(self, count: int) -> list[int]:
        """Which of so many are not there yet."""
        return [index for index in range(count) if not self._path(index).exists()]

    def load(self, index: int) -> np.ndarray:
        """One that is there, float32.

        Raises:
            InputError: if it is damaged.
        """
        path = self._path(index)
        try:
            return np.load(path, allow_pickle=False).astype("float32")
        except (OSError, EOFError, ValueError) as error:
            raise InputError(f"{path} is damaged: {error}. Delete it.") from error

    def save(self, index: int, array: np.ndarray) -> None:
        """Keeps one, whole or not at all, in half precision."""
        path = self._path(index)
        half = array.astype("float16")

        def write(place: Path) -> None:
            with place.open("wb") as file:
                np.save(file, half)

        io.write_together(self.folder, {path.name: write})

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:05d}.npy"


def make(
    examples: Examples,
    folder: Path,
    levels: Pyramid,
    batch: int,
    progress: Callable[[int, int], Any] = lambda done, count: None,
) -> Kept:
    """Makes the momenta that are not there yet.

    Args:
        examples: the pairs.
        folder: where the momenta are, in the units of ``zoo.quicksilver.model.Quicksilver``.
        levels: of the optimisation.
        batch: pairs that are registered together.
        progress: called with how many are there, and how many there will be.

    Raises:
        InputError: as :class:`Kept`.
    """
    operator = FluidOperator()
    kept = Kept(folder, _identity(examples, levels, operator))
    count, unit = len(examples), operator.c * np.square(examples.spacing)
    for some in _batches(kept.missing(count), batch):
        # Always as many, so that one compiled function serves: the last ones come again.
        rows = np.resize(some, batch)
        fixed, moving = map(np.stack, zip(*(examples.pair(row) for row in rows), strict=True))
        answer = register(
            *(fixed, moving, "lddmm"),
            similarity="mse",
            pyramid=levels,
            spacing=examples.spacing,
            ndim=fixed.ndim - 1,
        )
        for place, index in enumerate(some):
            kept.save(index, answer.path.momentum[place] / unit)
        progress(count - len(kept.missing(count)), count)
    return kept


def drawn(count: int, pairs: int, seed: int) -> np.ndarray:
    """Pairs of two different images, each image as often as any other the moving one.

    Args:
        count: number of images.
        pairs: how many pairs; where there are no more, all that there are.
        seed: of the draw.

    Returns:
        ``(pairs, 2)``: the fixed and the moving image.

    Example:

    >>> from zoo.quicksilver.momenta import drawn
    >>> pairs = drawn(3, 100, seed=0)
    >>> pairs[:3, 1].tolist(), bool((pairs[:, 0] != pairs[:, 1]).all()), len(pairs)
    ([0, 1, 2], True, 6)
    """
    rng = np.random.default_rng(seed)
    # The n-th partner of each image, in an order of its own.
    partners = [np.delete(np.arange(count), image) for image in range(count)]
    partners = np.stack([rng.permutation(others) for others in partners])
    found = [(partners[image, k], image) for k in range(count - 1) for image in range(count)]
    return np.array(found[:pairs])


def _identity(examples: Examples, levels: Pyramid, operator: FluidOperator) -> dict[str, Any]:
    return {
        "pairs": examples.pairs.tolist(),
        "spacing": list(examples.spacing),
        "shape": list(examples.images.shape),
        "images": hashlib.sha256(_bytes(examples.images)).hexdigest(),
        "levels": [asdict(level) for level in levels.levels],
        "operator": asdict(operator),
        "optimisation": _OPTIMISATION,
    }


def _bytes(images: np.ndarray) -> bytes:
    """Images in [0, 1] to 64 levels: another machine may round their last digits otherwise."""
    return np.floor(64 * images.astype("float64") + 0.25).astype("uint8").tobytes()


def _batches(items: Sequence[int], size: int) -> Iterator[list[int]]:
    for first in range(0, len(items), size):
        yield list(items[first : first + size])


def main(words: Sequence[str] | None = None) -> int:
    """Makes the momenta of a recipe.

    Args:
        words: of the command line.
    """
    from zoo import methods

    parser = argparse.ArgumentParser(prog="python -m zoo.quicksilver.momenta")
    add = parser.add_argument
    add("recipe", help="such as quicksilver-oasis2d")
    add("--data", help="default: the recipe's own")
    add("--pairs", type=int, help="default: the recipe's own")
    add("--seed", type=int, default=0, help="which pairs (default: 0)")
    add("--out", required=True, help="folder of the training, which will find them there")
    options = parser.parse_args(words)
    try:
        recipe = methods.recipe(options.recipe)
        data = options.data or next(iter(recipe.sources))
        if data not in recipe.sources:
            raise InputError(f"--data takes {', '.join(recipe.sources)}. Received: {data}")
        pairs = recipe.pairs if options.pairs is None else options.pairs
        if pairs < 1:
            raise InputError(f"--pairs must be positive. Received: {pairs}")
        settings = {"data": data, "pairs": pairs, "seed": options.seed}
        recipe.momenta(settings, Path(options.out))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
