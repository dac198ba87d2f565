"""A preset of the zoo, with its network alone or refined, as a contender."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.methods.contender import Answer
from benchmarks.pairs import Pair

if TYPE_CHECKING:
    from benchmarks.methods.networks import Network


class Preset:
    """A preset with a refinement, or none.

    Args:
        name: of the line.
        preset: name of the preset, or path of its JSON file.
        refine, stages, similarity, options: of :class:`benchmarks.methods.networks.Network`.
    """

    ours = True

    def __init__(
        self,
        name: str,
        preset: str,
        refine: int | str = 0,
        stages: int | None = None,
        similarity: str | None = None,
        **options: Any,
    ) -> None:
        self.name = name
        self.preset = preset
        self.refine = refine
        self.stages = stages
        self.similarity = similarity
        self.options = options
        self._network: Network | None = None

    def unavailable(self) -> str | None:
        """Whether the zoo has the preset, or it is a file that is there."""
        import zoo

        there = self.preset in zoo.list_presets() or Path(self.preset).is_file()
        return None if there else f"left out, there is no preset {self.preset}."

    def warm(self, pair: Pair) -> None:
        """Loads the network, which warms by itself at the first pair of each size."""
        from tfreg.registration import forget

        forget()  # what an earlier method compiled is not given to this one
        self._loaded()

    def register(self, pair: Pair) -> Answer:
        """Registers one pair, as a user does."""
        return Answer(*self._loaded().pair(pair))

    def answer(self, pair: Pair) -> Any:
        """The whole answer of one pair, registered as arrays."""
        return self._loaded().register(pair.fixed, pair.moving)[0]

    def batch(self, pairs: list[Pair]) -> float:
        """Registers the images of pairs as one batch."""
        sides = ("fixed", "moving")
        fixed, moving = (np.stack([getattr(pair, side) for pair in pairs]) for side in sides)
        return self._loaded()(fixed, moving)[1]

    def cold(self, pair: Pair) -> tuple[float, float]:
        """From a fresh interpreter, imports included."""
        from benchmarks.methods.networks import cold_start

        return cold_start(self.preset, pair.fixed.shape, self.refine)

    def close(self) -> None:
        """Lets go of the network."""
        self._network = None

    def _loaded(self) -> "Network":
        if self._network is None:
            from benchmarks.methods.networks import Network

            given = self.refine, self.stages, self.similarity
            self._network = Network(self.preset, *given, **self.options)
        return self._network
