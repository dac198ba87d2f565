"""What a table asks of a method: one protocol, which every tool fulfils in a module of its own."""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from benchmarks.pairs import Pair


class Answer(NamedTuple):
    """One registration.

    Attributes:
        displacement: ``(*spatial, ndim)`` in voxels, on the fixed image.
        seconds: of the registration alone, warm; ``None`` where there is none to time.
    """

    displacement: np.ndarray
    seconds: float | None


class Contender(Protocol):
    """A tool with its settings: a line of a table.

    Making one loads nothing. It may be used again after :meth:`close`.

    Attributes:
        name: of the line.
        ours: whether it is of this library.
    """

    name: str
    ours: bool

    def unavailable(self) -> str | None:
        """Why it cannot run here, as ``skipped, ... is not installed.``; ``None``: it can."""

    def warm(self, pair: Pair) -> float | None:
        """Loads what it needs, before the clock starts.

        Args:
            pair: such as will be registered.

        Returns:
            Seconds of compiling, of a method that tells them apart.
        """

    def register(self, pair: Pair) -> Answer:
        """Registers one pair.

        Raises:
            WorkerError: if it fails on this one; the next is answered as if nothing had happened.
        """

    def close(self) -> None:
        """Ends its process, and lets go of what it loaded."""


@runtime_checkable
class Batched(Protocol):
    """A contender that registers many pairs at once, too."""

    def batch(self, pairs: list[Pair]) -> float:
        """Registers pairs of one shape together; answers seconds, warm from the second time on."""


@runtime_checkable
class ColdStart(Protocol):
    """A contender whose first answer can be timed, too."""

    def cold(self, pair: Pair) -> tuple[float, float]:
        """Seconds from a fresh process to the first answer, and the peak of its memory in MiB."""


@runtime_checkable
class Weighed(Protocol):
    """A contender in a process of its own, whose memory is nobody else's."""

    def peak_mib(self) -> float | None:
        """MiB that its process held at most, libraries included; ``None``: there is none."""


def pick(requested: str | None, contenders: list[Contender]) -> list[Contender]:
    """Those that ``--methods`` names, in the order of the table.

    Raises:
        InputError: on a name that none has.
    """
    from benchmarks.harness import choose

    names = choose(requested, [contender.name for contender in contenders])
    return [contender for contender in contenders if contender.name in names]
