"""How the vector map is optimised: the paper's way, and ours."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tfreg.errors import InputError
from zoo.ssemnet.maps import INTERPOLATIONS
from zoo.ssemnet.similarity import check_similarity

_LEAST = 0.01  # a share of features below which none is dropped


@dataclass(frozen=True)
class Scheme:
    """The optimisation of equations (4) and (5).

    Attributes:
        similarity: of features, ``"squared"`` differences or the ``"centred"`` cosine.
        interpolation: of the vector map, see :mod:`zoo.ssemnet.maps`.
        spacings: px between control points, coarse to fine; each map starts as the one before.
        steps: steps of Adam with each.
        learning_rate: its step size in px; once nothing is dropped it falls to a tenth, along a
            cosine.
        drop: share of the features dropped at first, halved after every ``drop_steps`` steps until
            it is below 1 %; 0: none is dropped.
        drop_steps: see there; 1 is the paper's "every iteration" taken literally.
        alpha, beta, gamma: weights of the squares of the vectors, and of the gradients of their
            two components, in units of control cells.
        ncc_steps: further steps on the finest map, on the NCC of intensities instead of features.

    Raises:
        InputError: on a value out of range.
    """

    similarity: str
    interpolation: str
    spacings: tuple[int, ...]
    steps: int
    learning_rate: float
    drop: float
    drop_steps: int
    alpha: float
    beta: float
    gamma: float
    ncc_steps: int = 0

    def __post_init__(self) -> None:
        check_similarity(self.similarity)
        if self.interpolation not in INTERPOLATIONS:
            raise InputError(
                f"interpolation must be one of {INTERPOLATIONS}. "
                f"Received: interpolation={self.interpolation!r}"
            )
        object.__setattr__(self, "spacings", tuple(self.spacings))
        if not self.spacings or list(self.spacings) != sorted(set(self.spacings), reverse=True):
            raise InputError(
                f"spacings must fall, coarse to fine. Received: spacings={self.spacings}"
            )
        if min(self.spacings) < 2:
            raise InputError(f"spacings must be 2 px or more. Received: spacings={self.spacings}")
        if not 0 <= self.drop < 1:
            raise InputError(f"drop must be 0 or more and below 1. Received: drop={self.drop}")
        for name in ("alpha", "beta", "gamma", "ncc_steps"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} must be 0 or more. Received: {getattr(self, name)}")
        for name in ("steps", "drop_steps", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be positive. Received: {getattr(self, name)}")
        if self.drop >= _LEAST and self.steps <= self.drop_steps:
            raise InputError(
                "drop has no effect where steps are not more than drop_steps. "
                f"Received: drop={self.drop}, steps={self.steps}, drop_steps={self.drop_steps}"
            )

    def rounds(self) -> Iterator[tuple[float, int]]:
        """The shares that are dropped, and for how many steps each."""
        drop, left = self.drop, self.steps
        while drop >= _LEAST and left > self.drop_steps:
            yield drop, self.drop_steps
            drop, left = drop / 2, left - self.drop_steps
        yield 0.0, left


SCHEMES = {
    "paper": Scheme(
        similarity="squared",
        interpolation="bilinear",
        spacings=(32,),
        steps=100,
        learning_rate=0.5,
        drop=0.5,
        drop_steps=5,
        alpha=1e-3,
        beta=0.1,
        gamma=0.1,
    ),
    "plus": Scheme(
        similarity="centred",
        interpolation="bspline",
        spacings=(64, 32),
        steps=40,
        learning_rate=1.0,
        drop=0.2,
        drop_steps=4,
        alpha=0.0,
        beta=0.1,
        gamma=0.1,
        ncc_steps=60,
    ),
}


def scheme_of(given: "str | Mapping[str, Any] | Scheme") -> Scheme:
    """A scheme by name, or of its values.

    Raises:
        InputError: on an unknown name, or values that do not make one.
    """
    if isinstance(given, Scheme):
        return given
    if isinstance(given, str):
        if given not in SCHEMES:
            raise InputError(f"scheme must be one of {tuple(SCHEMES)}. Received: scheme={given}")
        return SCHEMES[given]
    names = set(asdict(SCHEMES["paper"]))
    if set(given) != names:
        raise InputError(
            f"A scheme has {', '.join(sorted(names))}. Received: {', '.join(sorted(given))}"
        )
    return Scheme(**given)
