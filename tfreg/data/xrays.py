"""Synthetic X-rays of an object: ``I = I_Xray + gamma G_sigma * I_DRR + N(a, b)``.

The object's image is rendered by Siddon's sum: methods that are tried on them render by Joseph's.
Real X-rays as backgrounds are replaced by projections of a chest and by textures of noise.

Reference:
    S. Miao, Z. J. Wang and R. Liao, A CNN regression approach for real-time 2D/3D registration,
    IEEE Transactions on Medical Imaging 35(5), 2016, section III-A.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from tfreg.data import radiographs
from tfreg.geometry import ConeBeam, frame_of
from tfreg.image import Image

_CHUNK = 20  # images rendered together
_PICTURES = 96  # of a pool of backgrounds


class Look(NamedTuple):
    """How synthetic X-rays of an object look; each number is drawn uniformly for each image.

    Attributes:
        gamma: of the object's image, whose brightest pixel is 1 before.
        blur: standard deviation in pixels.
        noise: half of the width ``b - a`` of the uniform noise.
        background: the largest value of the background.
    """

    gamma: tuple[float, float] = (0.6, 1.4)
    blur: tuple[float, float] = (0.4, 1.2)
    noise: tuple[float, float] = (0.01, 0.06)
    background: tuple[float, float] = (0.2, 1.2)


def rendered(volume: Image, camera: ConeBeam, poses: np.ndarray) -> np.ndarray:
    """The object alone, by Siddon's sum: ``(n, rows, columns)`` float32, brightest pixel about 1.

    Args:
        volume: attenuation.
        camera: of the X-rays.
        poses: ``(n, 6)``.
    """
    import keras

    from tfreg import ops

    source, rays = camera.rays()
    frame = frame_of(volume.geometry).astype("float32")
    voxels = np.asarray(volume.array, "float32")[None, ..., None]
    images = []
    for k in range(0, len(poses), _CHUNK):
        part = np.asarray(poses[k : k + _CHUNK], "float32")
        bundle = ops.pose_rays(part, frame, source.astype("float32"), rays[None].astype("float32"))
        image = ops.project(voxels, *bundle, "siddon")
        images.append(keras.ops.convert_to_numpy(image)[..., 0])
    found = np.concatenate(images)
    return found / np.quantile(found, 0.999)


def backgrounds(
    camera: ConeBeam, count: int, rng: np.random.Generator, chest: bool = False, pool: int = 0
) -> np.ndarray:
    """Backgrounds of X-rays, ``(count, rows, columns)`` float32 in [0, 1].

    The paper picks from a pool of real X-rays. Each of these mixes two pictures of a pool, mirrored
    at random.

    Args:
        camera: of the X-rays.
        count: of backgrounds.
        rng: of everything random in them but the pool.
        chest: whether half of the pool are a chest; the others are noise.
        pool: which one; those of different numbers share no picture.

    Raises:
        InputError: if the chest is not there.
    """
    pictures = _pool(camera, chest, pool)
    found = np.empty((count, *camera.shape), "float32")
    for k in range(count):
        share = rng.random()
        one, other = (_mirrored(pictures[rng.integers(len(pictures))], rng) for _ in range(2))
        found[k] = share * one + (1 - share) * other
    return found


@functools.cache
def _pool(camera: ConeBeam, chest: bool, number: int) -> np.ndarray:
    rng = np.random.default_rng([number, _PICTURES])
    found = [texture(camera.shape, rng) for _ in range(_PICTURES // 2 if chest else _PICTURES)]
    if chest:
        found += _chest(camera, _PICTURES - len(found), rng)
    return np.stack(found).astype("float32")


def _mirrored(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    down, across, turned = rng.random(3) < 0.5
    picture = picture[:: -1 if down else 1, :: -1 if across else 1]
    return picture.T if turned and picture.shape[0] == picture.shape[1] else picture


def texture(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise of all sizes, with the spectrum of natural images, in [0, 1]."""
    from scipy.ndimage import zoom

    total = np.zeros(shape)
    for octave in range(1, 6):
        grid = rng.normal(size=tuple(2**octave + 1 for _ in shape))
        factors = [n / m for n, m in zip(shape, grid.shape, strict=True)]
        total += zoom(grid, factors, order=1)[: shape[0], : shape[1]] * 2.0**-octave
    low, high = total.min(), total.max()
    return (total - low) / (high - low)


def degraded(
    image: np.ndarray, background: np.ndarray, look: Look, rng: np.random.Generator
) -> np.ndarray:
    """One synthetic X-ray of the object's image, float32."""
    from scipy.ndimage import gaussian_filter

    gamma, blur, noise, share = (rng.uniform(*pair) for pair in look)
    offset = rng.uniform(-noise, noise, image.shape)
    blurred = gaussian_filter(image, blur)
    return (share * background + gamma * blurred + offset).astype("float32")


def _chest(camera: ConeBeam, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """A chest from many sides, of which each image shows a part."""
    image = radiographs.volume("chest")
    small = image.resample(image.geometry.resampled(spacing=4.0), fill=-1000)
    small = radiographs.attenuating(small)
    poses = rng.uniform((-80, -80, 700, -180, -30, -180), (80, 80, 900, 180, 30, 180), (count, 6))
    found: list[Any] = []
    for projected in rendered(small, camera, poses):
        low, high = projected.min(), max(projected.max(), 1e-6)
        found.append((projected - low) / max(high - low, 1e-6))
    return found
