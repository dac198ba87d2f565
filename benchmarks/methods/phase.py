"""Phase correlation as a contender: one translation, or rigid motion, for the whole image."""

import time

import numpy as np

from benchmarks.methods.contender import Answer
from benchmarks.pairs import Pair


class Phase:
    """:func:`tfreg.serial.phase_correlation`.

    Args:
        name: of the line.
        degrees: the largest rotation that is tried.
    """

    ours = True

    def __init__(self, name: str = "phase correlation", degrees: float = 0.0) -> None:
        self.name = name
        self.degrees = degrees

    def unavailable(self) -> None:
        """It can always be had."""

    def warm(self, pair: Pair) -> None:
        """Loads it."""
        self.register(pair)

    def register(self, pair: Pair) -> Answer:
        """Registers one pair."""
        from tfreg.serial import phase_correlation

        begin = time.perf_counter()
        matrix = phase_correlation(pair.fixed, pair.moving, self.degrees)
        seconds = time.perf_counter() - begin
        places = np.moveaxis(np.indices(pair.fixed.shape, dtype="float64"), 0, -1)
        return Answer(places @ matrix[:, :2].T + matrix[:, 2] - places, seconds)

    def close(self) -> None:
        """Holds nothing."""
