"""Classical methods on described images: demons, matching, and optimisation, each after an affine
registration that all of them share."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods.contender import Answer
from benchmarks.pairs import Pair

Describe = Callable[[np.ndarray], np.ndarray]
HOW = ("demons", "match", "similarity")


@functools.lru_cache(maxsize=64)
def _affine(name: str, fixed: bytes, moving: bytes, shape: tuple, spacing: tuple) -> np.ndarray:
    from tfreg.registration import register

    images = (np.frombuffer(side, "float32").reshape(shape) for side in (fixed, moving))
    return register(*images, "affine", spacing=spacing).displacement


def affine_of(pair: Pair) -> np.ndarray:
    """The displacement of an affine registration, ``(*spatial, ndim)``, found once for all."""
    sides = (np.ascontiguousarray(side, "float32") for side in (pair.fixed, pair.moving))
    return _affine(pair.name, *(s.tobytes() for s in sides), pair.fixed.shape, pair.spacing)


class Affine:
    """That affine registration as a line of its own."""

    name = "affine"
    ours = True

    def unavailable(self) -> None:
        """It can always run."""

    def warm(self, pair: Pair) -> None:
        """Compiles for the size of the pair."""
        self._registered(pair)

    def register(self, pair: Pair) -> Answer:
        """Registers one pair, with its time; what others start from is not taken from here."""
        found = self._registered(pair)
        return Answer(found.displacement, found.seconds)

    def close(self) -> None:
        """Holds nothing."""

    def _registered(self, pair: Pair) -> Any:
        from tfreg.registration import register

        return register(pair.fixed, pair.moving, "affine", spacing=pair.spacing)


class Described:
    """One of our classical methods on features, from the affine registration.

    Args:
        name: of the line.
        how: ``"demons"``, ``"match"`` or ``"similarity"`` (B-splines).
        features: name of a preset, path of its JSON file, or a function of an image; ``None``:
            intensities.
        options: of :func:`tfreg.registration.demons`, ``match`` or ``register``.

    Attributes:
        seconds_features: time of the features of both images, one per pair.
    """

    ours = True

    def __init__(
        self, name: str, how: str, features: str | Describe | None, **options: Any
    ) -> None:
        if how not in HOW:
            raise ValueError(f"how must be one of {HOW}. Received: how={how}")
        self.name = name
        self.how = how
        self.features = features
        self.options = options
        self.seconds_features: list[float] = []
        self._describe: Any = None
        self._taken = 0.0

    def unavailable(self) -> str | None:
        """Whether the zoo has the preset, or it is a file that is there."""
        import zoo

        if not isinstance(self.features, str):
            return None
        there = self.features in zoo.list_presets() or Path(self.features).is_file()
        return None if there else f"left out, there is no preset {self.features}."

    def warm(self, pair: Pair) -> float:
        """Loads the network and compiles for the size of the pair; answers how long that took."""
        from tfreg.registration import forget

        forget()  # what an earlier method compiled is not given to this one
        return self._registered(pair).compile_seconds

    def register(self, pair: Pair) -> Answer:
        """Registers one pair; its features and the affine registration are not in its seconds."""
        self._taken = 0.0
        answer = self._registered(pair)
        if self.features is not None:
            self.seconds_features.append(self._taken)
        return Answer(answer.displacement, max(answer.seconds - self._taken, 0.0))

    def close(self) -> None:
        """Lets go of the network."""
        self._describe = None

    def _registered(self, pair: Pair) -> Any:
        from tfreg import registration

        options = {"spacing": pair.spacing, "start": affine_of(pair), **self.options}
        images = pair.fixed, pair.moving
        if self.how == "similarity":
            return registration.register(*images, similarity=self._features(), **options)
        method = getattr(registration, self.how)
        return method(*images, features=self._features(), **options)

    def _features(self) -> Any:
        from tfreg.registration import Features

        if self.features is None:
            return None
        if self._describe is None:
            self._describe = Features(self._timed(self._described()), self.name)
        return self._describe

    def _described(self) -> Describe:
        if not isinstance(self.features, str):
            return self.features
        import zoo

        return zoo.load(self.features, task="features").features

    def _timed(self, describe: Describe) -> Describe:
        def timed(image: np.ndarray) -> np.ndarray:
            begin = time.perf_counter()
            found = describe(image)
            self._taken += time.perf_counter() - begin
            return found

        return timed
