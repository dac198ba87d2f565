"""Parameter space partitioning: models of several zones, each for the poses in its own (II-B)."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np

from tfreg.errors import InputError, InputWarning
from tfreg.geometry import ConeBeam, zone_of
from tfreg.geometry.pose import ZONE
from tfreg.image import Image
from tfreg.models import PoseModel
from tfreg.registration import register_projection
from zoo.pehl.paper import PERTURBATION

if TYPE_CHECKING:
    from zoo.pehl.model import PEHL

ITERATIONS = 3


class Zones(PoseModel):
    """Models of several zones of one object, of which the nearest to a pose moves it.

    Args:
        zones: of :class:`zoo.pehl.model.PEHL`, each of another zone.

    Raises:
        InputError: on models of different objects or groups, or two of one zone.
    """

    options: ClassVar[tuple[str, ...]] = ("iterations", "refine")

    def __init__(self, zones: Sequence["PEHL"]) -> None:
        first = zones[0]
        if not all(isinstance(one, type(first)) for one in zones):
            names = [type(one).__name__ for one in zones]
            raise InputError(f"Models beside each other must be of one method. Received: {names}")
        kinds = {
            (one.groups, one.attenuates, one.intensity_range, one.preprocessing) for one in zones
        }
        names = [one.zone for one in zones]
        if len(kinds) > 1 or len(set(names)) < len(names) or None in names:
            raise InputError(
                "Models beside each other must be of one object and of different zones. "
                f"Received: zones {names}, {len(kinds)} kinds of models"
            )
        super().__init__(attenuates=first.attenuates, intensity_range=first.intensity_range)
        self.zones = list(zones)
        self.preprocessing = first.preprocessing

    def pose(
        self, volume: Image, xray: np.ndarray, camera: ConeBeam, initial: np.ndarray, **options: Any
    ) -> np.ndarray:
        """As that of one zone."""
        return registered(self.zones, volume, xray, camera, initial, **options)


def registered(
    models: Sequence["PEHL"],
    volume: Image,
    xray: np.ndarray,
    camera: ConeBeam,
    initial: np.ndarray,
    iterations: int = ITERATIONS,
    refine: str | None = None,
) -> np.ndarray:
    """What ``pose`` of models answers: the poses on the way.

    Args:
        models: of one object, each of a zone, or one of all poses.
        volume, xray, camera, initial: as ``PoseModel.pose`` takes them.
        iterations, refine: options of ``register``.

    Raises:
        InputError: on another volume than that of the training.

    Warns:
        InputWarning: where the start is far from every zone.
    """
    models[0].check_volume(volume)
    own, zone = nearest(models, initial).zone, zone_of(initial)
    if own is not None and apart(own, zone) > 1:
        warnings.warn(
            f"The nearest network is of the zone {own}, of rotations about "
            f"{tuple(int(ZONE * index) for index in own)} degrees; the start is in {zone}.",
            InputWarning,
            stacklevel=4,
        )
    steps = iterated(models, volume, xray, camera, initial, iterations)
    if refine is None:
        return steps
    start, attenuates = [initial, *steps][-1], models[0].attenuates
    better = register_projection(volume, xray, camera, start, attenuates=attenuates)
    return np.concatenate([steps, better.pose[None]])


def nearest(models: Sequence["PEHL"], pose: np.ndarray) -> "PEHL":
    """The model of the zone of a pose, or of the zone nearest to it.

    Args:
        models: of different zones, or one of all poses.
        pose: ``(6,)``.
    """
    zone = zone_of(pose)
    return min(
        models, key=lambda one: (0,) if one.zone is None else (apart(one.zone, zone), one.zone)
    )


def apart(one: tuple[int, int], other: tuple[int, int]) -> int:
    """Zones on the way from one to another, along both rotations.

    Example:

    >>> from zoo.pehl.zones import apart
    >>> apart((1, 8), (0, -9))
    2
    """
    count = round(360 / ZONE)
    pairs = zip(one, other, strict=True)
    return sum(abs((a - b + count // 2) % count - count // 2) for a, b in pairs)


def iterated(
    models: Sequence["PEHL"],
    volume: Image,
    xray: np.ndarray,
    camera: ConeBeam,
    initial: np.ndarray,
    iterations: int = ITERATIONS,
) -> np.ndarray:
    """Algorithm 1 of the paper: each group by the model of the zone that the pose is in then.

    Args:
        models, volume, camera, initial: as :func:`registered` takes them.
        xray: ``(rows, columns)`` float32.
        iterations: of all groups.

    Returns:
        ``(iterations, 6)`` float64: the pose after each.

    Raises:
        InputError: if a pose leaves the space before the source.
    """
    scene = models[0].scene(volume, np.asarray(xray, "float32")[None], camera)
    scene = tuple(keras.ops.convert_to_tensor(part) for part in scene)
    pose, steps = initial.astype("float32")[None], []
    for _ in range(iterations):
        for group in range(len(models[0].groups)):
            before(pose)
            pose = nearest(models, pose[0]).advance(scene, pose, group)
        steps.append(pose[0])
    return np.array(steps, "float64").reshape(-1, 6)


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
