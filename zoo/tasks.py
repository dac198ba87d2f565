"""The tasks of models, and what a preset of each may say of its images and of its score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tfreg.errors import InputError

TaskName = Literal["registration", "classification", "pose", "features", "fusion"]
_ANY = (0.0, math.inf)


@dataclass(frozen=True)
class Task:
    """One kind of question that a model answers.

    Attributes:
        verb: what a model of it does.
        call: the method of its models that does so.
        scores: the metrics on held-out data that its presets may state, each with its least and
            its largest value.
        images: what its presets may say of images beside size and intensities: the ``spacing`` of
            voxels in mm or, where only their shape is known, its ``proportions``, and what the grid
            of the network ``covers``.
    """

    verb: str
    call: str
    scores: Mapping[str, tuple[float, float]]
    images: tuple[str, ...] = ()


TASKS: dict[str, Task] = {
    "registration": Task(
        "registers",
        "register",
        {
            "ncc": (-1, 1),
            "dice": (0, 1),
            "mse": _ANY,
            "error": _ANY,
            "success": (0, 100),
            "lowered": (0, 100),
        },
        ("spacing", "proportions", "covers"),
    ),
    "classification": Task("classifies", "classify", {"accuracy": (0, 1), "error": (0, 100)}),
    "pose": Task(
        "finds poses",
        "register",
        {"mtre": _ANY, "error": _ANY, "success": (0, 100)},
        ("spacing",),
    ),
    "features": Task(
        "computes features",
        "features",
        {"mse": _ANY, "ncc": (-1, 1), "objective": _ANY},
        ("spacing",),
    ),
    "fusion": Task("fuses", "fuse", {"accuracy": (0, 1), "mse": _ANY}),
}


def check_task(name: Any) -> None:
    """Raises ``InputError`` unless there is a task of this name."""
    if name not in TASKS:
        raise InputError(f"task must be one of {', '.join(TASKS)}. Received: task={name!r}")


def check_preprocessing(task: str, content: Any) -> None:
    """Checks that a preset says what a network of a task has to know of images, and no more.

    The values are those of ``tfreg.registration.Preprocessing``, which checks them.

    Args:
        task: of :data:`TASKS`.
        content: ``size``, ``intensity_range``, or ``None`` and ``percentiles``, and ``images`` of
            the task.

    Raises:
        InputError: on a field that is missing or has no effect.
    """
    own = ("percentiles", *TASKS[task].images)
    _check_names("preprocessing", content, ("size", "intensity_range"), own)
    if content["intensity_range"] is not None and "percentiles" in content:
        raise InputError(
            "preprocessing.percentiles has no effect beside preprocessing.intensity_range. "
            f"Received: preprocessing.percentiles={content['percentiles']}"
        )


def check_score(task: str, content: Any) -> None:
    """Checks what a preset says of how well its network does.

    Args:
        task: of :data:`TASKS`.
        content: ``metric``, ``value``, and ``data``: on what.

    Raises:
        InputError: on a field that is missing, unknown or not what it should be.
    """
    _check_names("score", content, ("metric", "value", "data"))
    metric, value, known = content["metric"], content["value"], TASKS[task].scores
    if metric not in [*known]:
        raise InputError(
            f"score.metric must be one of {', '.join(known)}. Received: score.metric={metric!r}"
        )
    low, high = known[metric]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (math.isfinite(value) and low <= value <= high):
        raise InputError(
            f"score.value must be a number within {low:g} and {high:g}. "
            f"Received: score.value={value!r}"
        )


def _check_names(
    where: str, content: Any, required: Sequence[str], optional: Sequence[str] = ()
) -> None:
    if not isinstance(content, Mapping):
        raise InputError(f"{where} must be an object. Received: {where}={content!r}")
    for name in required:
        if name not in content:
            raise InputError(f"{where}.{name} is missing. Received: {where}={content}")
    known = (*required, *optional)
    for name, value in content.items():
        if name not in known:
            raise InputError(
                f"{where} may hold {', '.join(known)}. Received: {where}.{name}={value!r}"
            )
