"""Parameter space partitioning: models of several zones, each for the poses in its own (II-B)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, zone_of
from tfreg.geometry.pose import ZONE
from tfreg.image import Image
from zoo.pehl.paper import PERTURBATION

if TYPE_CHECKING:
    from zoo.pehl.model import PEHL

ITERATIONS = 3


def nearest(models: Sequence["PEHL"], pose: np.ndarray) -> "PEHL":
    """The model of the zone of a pose, or of the zone nearest to it.

    Args:
        models: of different zones, or one of all poses.
        pose: ``(6,)``.
    """
    zone = zone_of(pose)
    count = round(360 / ZONE)

    def distance(model: "PEHL") -> tuple:
        if model.zone is None:
            return (0,)
        steps = [
            abs((a - b + count // 2) % count - count // 2)
            for a, b in zip(model.zone, zone, strict=True)
        ]
        return sum(steps), model.zone

    return min(models, key=distance)


def iterated(
    models: Sequence["PEHL"],
    volume: Image,
    xray: np.ndarray,
    camera: ConeBeam,
    initial: np.ndarray,
    iterations: int = ITERATIONS,
) -> np.ndarray:
    """Algorithm 1 of the paper: in each iteration the model of the zone that the pose is in.

    Args:
        models: of one object, each of a zone, or one of all poses.
        volume: the object.
        xray: ``(rows, columns)`` float32.
        camera: how it was taken.
        initial: ``(6,)``.
        iterations: of all groups.

    Returns:
        ``(iterations, 6)`` float64: the pose after each.

    Raises:
        InputError: if a pose leaves the space before the source.
    """
    scene = models[0].scene(volume, np.asarray(xray, "float32")[None], camera)
    pose, steps = initial.astype("float32")[None], []
    for _ in range(iterations):
        before(pose)
        pose = nearest(models, pose[0]).iterate(scene, pose)
        steps.append(pose[0])
    return np.array(steps, "float64")


def before(poses: np.ndarray) -> None:
    """Raises ``InputError`` unless all volumes are before the source."""
    if not (poses[:, 2] > 0).all():
        raise InputError(
            "t_z must be positive, the distance in mm from the source to the volume's centre. "
            f"Received: t_z={float(poses[:, 2].min()):g}"
        )


def left_over(
    model: "PEHL", inputs: dict[str, np.ndarray], true: np.ndarray, batch_size: int
) -> np.ndarray:
    """What is left of offsets, see :meth:`zoo.pehl.model.PEHL.score`.

    Args:
        model: whose zone all poses are in.
        inputs: ``xray`` ``(n, rows, columns, 1)`` and ``start`` ``(n, 6)``; and, for all of them,
            ``volume`` ``(1, z, y, x, 1)``, ``frame`` ``(1, 3, 4)``, ``focal`` and ``principal``
            ``(1, 2)``.
        true: ``(n, 6)``.
        batch_size: starts together.

    Returns:
        ``(n,)``.
    """
    arrays = {name: np.asarray(array, "float32") for name, array in inputs.items()}
    found = []
    for k in range(0, len(arrays["start"]), batch_size):
        part = slice(k, k + batch_size)
        camera = arrays["focal"][0], arrays["principal"][0]
        scene = arrays["volume"], arrays["frame"][0], arrays["xray"][part], *camera
        pose = arrays["start"][part]
        for _ in range(ITERATIONS):
            pose = model.iterate(scene, pose)
        found.append(pose)
    off = (np.concatenate(found) - np.asarray(true)) / np.array(PERTURBATION)
    return np.sqrt((off**2).mean(axis=1))
