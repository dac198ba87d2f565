"""StackReg, the plugin of ImageJ, as its Python port: one affine transform for the whole image."""

import importlib.util
import time
from multiprocessing.connection import Connection

import numpy as np

from benchmarks.methods.contender import Answer
from benchmarks.methods.worker import Worker
from benchmarks.pairs import Pair


class StackReg:
    """``pystackreg`` in a worker of its own.

    Args:
        name: of the line.
    """

    ours = False

    def __init__(self, name: str) -> None:
        self.name = name
        self._worker = Worker(_serve, ())

    def unavailable(self) -> str | None:
        """Whether it is installed."""
        there = importlib.util.find_spec("pystackreg")
        return None if there else "skipped, pystackreg is not installed."

    def warm(self, pair: Pair) -> None:
        """Starts the worker."""
        self.register(pair)

    def register(self, pair: Pair) -> Answer:
        """Registers one pair."""
        matrix, seconds = self._worker.ask((pair.fixed, pair.moving))
        places = np.moveaxis(np.indices(pair.fixed.shape, dtype="float64"), 0, -1)
        # It orders axes x, y, and answers from fixed to moving pixels.
        linear, offset = matrix[:2, :2][::-1, ::-1], matrix[:2, 2][::-1]
        return Answer(places @ linear.T + offset - places, seconds)

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()


def _serve(pipe: Connection) -> None:
    from pystackreg import StackReg as Registration

    while True:
        try:
            fixed, moving = pipe.recv()
        except EOFError:
            return
        begin = time.perf_counter()
        matrix = Registration(Registration.AFFINE).register(fixed, moving)
        pipe.send((matrix, time.perf_counter() - begin))
