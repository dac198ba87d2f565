"""What is to be said of a data set, once: name, citation, licence and splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Licences that ask nothing of weights trained on images beside those of others, but to be named.
_FREE = ("Apache-2.0", "MIT", "CC0 1.0")


@dataclass(frozen=True)
class Source:
    """A data set, as presets and tables tell of it.

    Attributes:
        name: as its publisher calls it.
        citation: who made it, and where that is written.
        licence: of the images, and so of what is trained on them.
        unit: what ``splits`` counts, such as patients; images of one never lie in two splits.
        splits: how many there are, by split.

    Example:

    >>> from tfreg.data import acdc
    >>> acdc.SOURCE.licence, acdc.SOURCE.splits["test"], acdc.SOURCE.unit
    ('CC BY-NC-SA 4.0', 10, 'patients')
    """

    name: str
    citation: str
    licence: str
    unit: str = "images"
    splits: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name} ({self.citation})" if self.citation else self.name


def phantom(name: str, unit: str, splits: Mapping[str, int] | None = None) -> Source:
    """The source of images that are drawn by code: free, and in no need of a citation.

    Args:
        name: what is drawn, and by which module.
        unit, splits: as :class:`Source`.
    """
    return Source(name, "", "Apache-2.0", unit, splits or {})


def licence_of(sources: Sequence[Source]) -> str:
    """The licence of what is made from several sources: the one that asks most.

    Args:
        sources: one or more.

    Raises:
        ValueError: on sources of two licences that each ask something, which no rule here joins.

    Example:

    >>> from tfreg.data import acdc, sunnybrook
    >>> from tfreg.data.source import licence_of
    >>> licence_of([sunnybrook.SOURCE, acdc.SOURCE])
    'CC BY-NC-SA 4.0'
    """
    found = {source.licence for source in sources}
    asking = found.difference(_FREE) or {min(found, key=_FREE.index)}
    if len(asking) != 1:
        raise ValueError(f"These licences cannot be joined. Received: {', '.join(sorted(asking))}")
    return asking.pop()
