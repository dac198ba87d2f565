"""The vector map of ssEMnet on something else than learned features, as contenders."""

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.methods.contender import Answer
from benchmarks.pairs import Pair
from zoo.ssemnet.model import SsEMnet


class Pixels(SsEMnet):
    """The same map on intensities: squared differences are MSE, and the centred cosine is NCC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = 1

    def encoded(self, images: Any) -> Any:
        return images


class VectorMap:
    """A model without trained weights.

    Args:
        name: of the line.
        kind: the class of the model.
        scheme: of the model.
        begin: called with the model when it is built, before it registers anything; ``None``: its
            weights are those that Keras draws.
        seed: of its weights.
    """

    ours = True

    def __init__(
        self,
        name: str,
        kind: type[SsEMnet],
        scheme: dict[str, Any],
        begin: Callable[[SsEMnet], Any] | None = None,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.kind, self.scheme, self.begin, self.seed = kind, scheme, begin, seed
        self._model: SsEMnet | None = None

    def unavailable(self) -> None:
        """It can always be had."""

    def warm(self, pair: Pair) -> None:
        """Compiles for the size of the pair."""
        keras.utils.set_random_seed(self.seed)
        self._model = self.kind(scheme=self.scheme)
        self._model.build()
        if self.begin is not None:
            self.begin(self._model)
        self.register(pair)

    def register(self, pair: Pair) -> Answer:
        """Registers one pair."""
        begin = time.perf_counter()
        found = self._model.register(pair.fixed, pair.moving)
        return Answer(np.asarray(found.displacement), time.perf_counter() - begin)

    def close(self) -> None:
        """Lets go of the model."""
        self._model = None
