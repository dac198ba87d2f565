"""Powell's method on the gradient correlation of an X-ray and DRRs: the papers' baseline."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from scipy.optimize import minimize

from tfreg.geometry import ConeBeam
from tfreg.image import Image
from tfreg.ops.backend import compiled
from tfreg.ops.pose import ray_components
from tfreg.ops.rays import Voxels, joseph, with_margin
from tfreg.registration.projection.correlation import features, inner, standardised
from tfreg.registration.projection.views import Scene, scene_of, usual_levels

UNITS = np.array([1.0, 1.0, 10.0, 2.0, 10.0, 10.0])  # of the search, in mm and degrees


class Found(NamedTuple):
    """What a search answers.

    Attributes:
        pose: ``(6,)``.
        renderings: images that it asked for, at any resolution.
    """

    pose: np.ndarray
    renderings: int


def powell(
    volume: Image,
    xray: np.ndarray,
    camera: ConeBeam,
    initial: np.ndarray,
    similarity: str = "gc",
    attenuates: bool = True,
) -> Found:
    """Line searches along one parameter after the other, coarse to fine.

    Projector, similarity, region and levels are those of
    :func:`tfreg.registration.register_projection`; SciPy's settings are its own.

    Args:
        volume: attenuation, or HU.
        xray: ``(rows, columns)``, bright behind the object.
        camera: how it was taken.
        initial: ``(6,)``.
        similarity: as :func:`tfreg.registration.register_projection` takes it.
        attenuates: whether the volume holds attenuation.
    """
    picture = np.asarray(xray, "float32")[None]
    whole = scene_of(volume, [picture], [camera], [None], initial[None], attenuates)
    distance = float(initial[2])
    step, count = np.zeros(6), 0
    for factor in usual_levels(volume, camera, distance):
        value = _dissimilarity_of(whole.at(factor, distance), initial, similarity)
        found: Any = minimize(value, step, method="Powell")
        step, count = found.x, count + int(found.nfev)
    return Found(initial + UNITS * step, count)


def _dissimilarity_of(
    scene: Scene, initial: np.ndarray, similarity: str
) -> Callable[[np.ndarray], float]:
    """What is minimised at one level, a function of the step in units of the search."""
    (view,) = scene.views
    weights = inner(keras.ops.convert_to_tensor(view.mask), similarity)
    xray = keras.ops.convert_to_tensor(view.xray / np.abs(view.xray).max())
    target = [standardised(part, weights)[0] for part in features(xray, similarity)]
    voxels = with_margin(keras.ops.convert_to_tensor(scene.volume))
    frame, *rays = (np.asarray(part, "float32") for part in (scene.frame, *view.rays))
    parts = [keras.ops.convert_to_tensor(part) for part in (frame, *rays)]
    compute = _dissimilarity(similarity, voxels.sizes, keras.config.backend())

    def value(step: np.ndarray) -> float:
        pose = keras.ops.convert_to_tensor((initial + UNITS * step).astype("float32")[None])
        return float(compute(pose, voxels.values, *parts, weights, *target)[0])

    return value


@functools.cache
def _dissimilarity(similarity: str, sizes: tuple[int, int, int], backend: str) -> Callable:
    def value(
        pose: Any, values: Any, frame: Any, source: Any, rays: Any, weights: Any, *target: Any
    ) -> Any:
        bundle = ray_components(pose, frame, source, rays)
        image = joseph(Voxels(values, sizes, True), *bundle)
        image = keras.ops.reshape(image, (-1, *rays.shape[1:3]))
        own = [standardised(part, weights)[0] for part in features(image, similarity)]
        agreement = [keras.ops.sum(a * b, axis=1) for a, b in zip(own, target, strict=True)]
        return 1 - sum(agreement) / len(agreement)

    return compiled(value)
