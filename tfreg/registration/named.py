"""Settings by task: what registers images of one kind, in one place and under one name.

They are settings of :func:`tfreg.registration.register`; what is given beside them counts in their
place. The table `engine-choices` compares each with others on validation data with noise added.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tfreg.errors import InputError
from tfreg.registration.instance.optimisation import Optimisation
from tfreg.registration.instance.pyramid import Schedule
from tfreg.registration.instance.similarity import Similarity


@dataclass(frozen=True)
class Task:
    """How images of one kind are registered.

    Attributes:
        about: which images.
        transform: names of the transforms, in sequence.
        similarity: a name, or names and weights as in ``register``.
        weight: of the bending energy of what bends, but for the pyramid ``"fast"``, which has its
            own; ``None``: that of the pyramid.
        confine: whether nothing outside both masks is seen, where both are given.
    """

    about: str
    transform: tuple[str, ...]
    similarity: Similarity
    weight: float | None = None
    confine: bool = False


# Compared by the table `engine-choices`, a group per task.
TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "lung-ct": Task(
            "CT of one chest at two phases of its breath or two times, with masks of the lungs",
            ("affine", "bspline"),
            {"lncc": 1, "mind": 1},
            weight=1.0,
            confine=True,
        ),
        "brain-mr": Task(
            "MRI of the brains, or of parts of the brains, of two people, of one contrast",
            ("affine", "bspline"),
            {"lncc5": 1, "mind": 0.5},
        ),
        "cine": Task(
            "two times of one slice of cine MRI, or of one sequence of any kind",
            ("bspline",),
            {"ncc": 1, "lncc": 0.5},
        ),
        "ct-mr": Task(
            "CT and MRI of one head, which is rigid: a map that bends makes it worse",
            ("rigid",),
            "mi",
        ),
    }
)


def optimisation(
    settings: str | None = None,
    *,
    transform: Any = None,
    similarity: Any = None,
    pyramid: Any = None,
    confine: bool | None = None,
    masks: Collection[str] = (),
    **others: Any,
) -> Optimisation:
    """The method behind what a user says, and behind what is left unsaid.

    Args:
        settings: a name of ``TASKS``, or ``None``: B-splines, NCC and the default pyramid.
        transform, similarity, pyramid, confine: as in :func:`tfreg.registration.register`;
            ``None``: what the settings say.
        masks: names of the masks that there are.
        others: of :class:`Optimisation`.

    Raises:
        InputError: on an unknown name, or a value that no pair could be registered with.

    Example:

    >>> from tfreg.registration.named import optimisation
    >>> method = optimisation("lung-ct", pyramid="fast", masks=("fixed_mask", "moving_mask"))
    >>> method.transform, str(method.similarity), method.confine
    (('affine', 'bspline'), 'lncc=1,mind=1', True)
    """
    if settings is not None and (not isinstance(settings, str) or settings not in TASKS):
        raise InputError(f"settings must be one of {tuple(TASKS)}. Received: settings={settings!r}")
    task = Task("", "bspline", "ncc") if settings is None else TASKS[settings]
    pyramid = "default" if pyramid is None else pyramid
    if task.weight is not None:
        several = isinstance(pyramid, (list, tuple))
        found = [_with_weight(one, task.weight) for one in (pyramid if several else [pyramid])]
        pyramid = found if several else found[0]
    if confine is None:
        confine = task.confine and {"fixed_mask", "moving_mask"} <= set(masks)
    return Optimisation(
        task.transform if transform is None else transform,
        task.similarity if similarity is None else similarity,
        pyramid=pyramid,
        confine=confine,
        **others,
    )


def _with_weight(pyramid: Any, weight: float) -> Any:
    """A named pyramid with another weight, but for "fast": a stiff map takes more steps."""
    named = isinstance(pyramid, str) and pyramid != "fast"
    return Schedule(pyramid, weight) if named else pyramid
