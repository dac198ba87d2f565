"""No registration: what every method starts from."""

from benchmarks.methods.contender import Answer
from benchmarks.pairs import Pair


class Nothing:
    """Leaves the moving image where the pair starts."""

    name = "none"
    ours = False

    def unavailable(self) -> None:
        """It can always be had."""

    def warm(self, pair: Pair) -> None:
        """Loads nothing."""

    def register(self, pair: Pair) -> Answer:
        """The start of the pair, which takes no time."""
        return Answer(pair.at_start(), None)

    def close(self) -> None:
        """Holds nothing."""
