"""One line of a table by several contenders, such as a network for each digit."""

from collections.abc import Mapping

from benchmarks.methods.contender import Answer, Contender
from benchmarks.pairs import Pair


class PerGroup:
    """Has each pair registered by the contender of its group.

    Args:
        name: of the line.
        contenders: of one kind, by group.
    """

    def __init__(self, name: str, contenders: Mapping[str, Contender]) -> None:
        self.name = name
        self.contenders = contenders
        self.ours = all(one.ours for one in contenders.values())

    def unavailable(self) -> str | None:
        """The first reason of one of them."""
        reasons = (one.unavailable() for one in self.contenders.values())
        return next((reason for reason in reasons if reason), None)

    def warm(self, pair: Pair) -> float | None:
        """Warms the contender of this pair; the others warm at their first."""
        return self.contenders[pair.group].warm(pair)

    def register(self, pair: Pair) -> Answer:
        """By the contender of the pair's group."""
        return self.contenders[pair.group].register(pair)

    def batch(self, pairs: list[Pair]) -> float:
        """By the contender of the group of all."""
        return self.contenders[pairs[0].group].batch(pairs)

    def cold(self, pair: Pair) -> tuple[float, float]:
        """The start of the pair's contender."""
        return self.contenders[pair.group].cold(pair)

    def close(self) -> None:
        """Closes all of them."""
        for contender in self.contenders.values():
            contender.close()
