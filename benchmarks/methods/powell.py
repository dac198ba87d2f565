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
from tfreg.ops.rays import joseph, with_margin
from tfreg.registration.projection.correlation import features, inner, standardised
from tfreg.registration.projection.views import scene_of

UNITS = np.array([1.0, 1.0, 10.0, 2.0, 10.0, 10.0])  # of the search, in mm and degrees


class Found(NamedTuple):
    """What a search answers.

    Attributes:
        pose: ``(6,)``.
        renderings: images that it asked for.
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
    """Line searches along one parameter after the other, at full resolution.

    Projector, similarity and the region of the X-ray are those of
    :func:`tfreg.registration.register_projection`, so that what differs is the search alone. SciPy
    stops ten times earlier than by default: it asks for fewer images so.

    Args:
        volume: attenuation, or HU.
        xray: ``(rows, columns)``, bright behind the object.
        camera: how it was taken.
        initial: ``(6,)``.
        similarity: as :func:`tfreg.registration.register_projection` takes it.
        attenuates: whether the volume holds attenuation.
    """
    value = _dissimilarity(similarity, keras.config.backend())
    picture = np.asarray(xray, "float32")[None]
    scene = scene_of(volume, [picture], [camera], [None], initial[None], attenuates)
    view = scene.views[0]
    parts = (scene.volume, scene.frame, view.xray, *view.rays)
    tensors = [keras.ops.convert_to_tensor(np.asarray(part, "float32")) for part in parts]

    def at(step: np.ndarray) -> float:
        pose = (initial + UNITS * step).astype("float32")[None]
        return float(value(keras.ops.convert_to_tensor(pose), *tensors)[0])

    options = {"xtol": 1e-3, "ftol": 1e-5}
    found: Any = minimize(at, np.zeros(6), method="Powell", options=options)
    return Found(initial + UNITS * found.x, int(found.nfev))


@functools.cache
def _dissimilarity(similarity: str, backend: str) -> Callable:
    def value(pose: Any, volume: Any, frame: Any, xray: Any, source: Any, rays: Any) -> Any:
        image = joseph(with_margin(volume), *ray_components(pose, frame, source, rays))
        image = keras.ops.reshape(image, (-1, *rays.shape[1:3]))
        weights = inner(keras.ops.ones_like(xray), similarity)
        parts = [
            [standardised(part, weights)[0] for part in features(one, similarity)]
            for one in (image, xray)
        ]
        agreement = [keras.ops.sum(a * b, axis=1) for a, b in zip(*parts, strict=True)]
        return 1 - sum(agreement) / len(agreement)

    return compiled(value)
