"""A preset of the zoo, with its network alone or refined, as a contender."""

import functools
from typing import Any

import numpy as np

from benchmarks.methods.contender import Answer
from benchmarks.pairs import Pair


class Preset:
    """A preset with a refinement, or none.

    Args:
        name: of the line.
        preset: name of the preset.
        refine, stages, similarity: of :class:`benchmarks.methods.networks.Network`.
    """

    ours = True

    def __init__(
        self,
        name: str,
        preset: str,
        refine: int | str = 0,
        stages: int | None = None,
        similarity: str | None = None,
    ) -> None:
        self.name = name
        self.preset = preset
        self.refine = refine
        self.stages = stages
        self.similarity = similarity

    @functools.cached_property
    def network(self) -> Any:
        """The :class:`benchmarks.methods.networks.Network`, loaded."""
        from benchmarks.methods.networks import Network

        return Network(self.preset, self.refine, self.stages, self.similarity)

    def unavailable(self) -> str | None:
        """Whether the zoo has the preset."""
        import zoo

        there = self.preset in zoo.list_presets()
        return None if there else f"left out, there is no preset {self.preset}."

    def warm(self, pair: Pair) -> None:
        """Loads the network, which warms by itself at the first pair of each size."""
        from tfreg.registration import forget

        forget()  # what an earlier method compiled is not given to this one
        self.network  # noqa: B018  loaded by being asked for

    def register(self, pair: Pair) -> Answer:
        """Registers one pair, as a user does."""
        return Answer(*self.network.pair(pair))

    def batch(self, pairs: list[Pair]) -> float:
        """Registers the images of pairs as one batch."""
        sides = ("fixed", "moving")
        fixed, moving = (np.stack([getattr(pair, side) for pair in pairs]) for side in sides)
        return self.network(fixed, moving)[1]

    def cold(self, pair: Pair) -> tuple[float, float]:
        """From a fresh interpreter, imports included."""
        from benchmarks.methods.networks import cold_start

        return cold_start(self.preset, pair.fixed.shape, self.refine)

    def close(self) -> None:
        """Lets go of the network."""
        self.__dict__.pop("network", None)
