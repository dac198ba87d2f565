"""Pairs of a DRR and an X-ray of a skull under random deformations, for training."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.data import Array, Batches
from tfreg.data.xrays import Look, degraded, texture
from tfreg.image import Image
from zoo.craniofacial.model import Craniofacial, deformed_volume, standardised

LOOK = Look((0.7, 1.3), (0.2, 0.8), (0.005, 0.03), (0.0, 0.3))
_NEAR = 0.35  # standard deviation of what a pass leaves, in coefficients
_TOGETHER = 4


class Pool:
    """Images of many deformations, rendered once and kept in a file.

    Attributes:
        coefficients: ``(n, k)`` of each X-ray.
        xrays: ``(n, rows, columns)`` float16, by Siddon's sum, degraded.
        near: ``(n, k)`` coefficients near to those.
        drrs: ``(n, rows, columns)`` float16 of ``near``, by Joseph's.
        plain: ``(rows, columns)`` float16, the DRR without a deformation.
    """

    def __init__(
        self,
        model: Craniofacial,
        scene: Sequence[np.ndarray],
        count: int,
        seed: int,
        path: Path | None = None,
    ) -> None:
        if path is not None and path.exists():
            with np.load(path) as file:
                kept = {name: file[name] for name in file}
        else:
            kept = _rendered(model, scene, count, np.random.default_rng([seed, 5]))
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(".partial")
                with open(partial, "wb") as file:
                    np.savez(file, **kept)
                os.replace(partial, path)
        self.coefficients, self.xrays = kept["coefficients"], kept["xrays"]
        self.near, self.drrs, self.plain = kept["near"], kept["drrs"], kept["plain"]

    def pairs(self, picks: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a network sees of some X-rays, and what it is to find.

        Args:
            picks: ``(batch,)`` indices of X-rays.
            first: ``(batch,)`` bool: beside the DRR without a deformation, else the one near.
        """
        drr = np.where(first[:, None, None], self.plain, self.drrs[picks]).astype("float32")
        images = np.stack([_unit(drr), _unit(self.xrays[picks].astype("float32"))], axis=-1)
        start = np.where(first[:, None], 0, self.near[picks])
        return images, (self.coefficients[picks] - start).astype("float32")


class Pairs(Batches):
    """Random pairs of a pool: half beside the undeformed DRR, half as a later pass sees them."""

    def __init__(self, pool: Pool, batch_size: int, seed: int) -> None:
        self.pool = pool
        arrays = {
            "images": Array((*pool.plain.shape, 2)),
            "coefficients": Array(pool.coefficients.shape[1:]),
        }
        super().__init__(batch_size, seed, arrays, ("coefficients",), len(pool.xrays))

    def batch(self, step: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.seed, step])
        picks = rng.integers(self.count, size=self.batch_size)
        images, coefficients = self.pool.pairs(picks, rng.random(self.batch_size) < 0.5)
        return {"images": images, "coefficients": coefficients}


def _rendered(
    model: Craniofacial, scene: Sequence[np.ndarray], count: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """What a pool holds."""
    size = len(model.subspace.control)
    coefficients = np.clip(rng.normal(size=(count, size)), -3, 3).astype("float32")
    near = coefficients + (_NEAR * rng.normal(size=(count, size))).astype("float32")
    plain = images_of(scene, np.zeros((1, size), "float32"), "joseph")[0]
    clean = images_of(scene, coefficients, "siddon") / plain.max()
    xrays = [degraded(one, texture(one.shape, rng), LOOK, rng) for one in clean]
    return {
        "coefficients": coefficients,
        "near": near,
        "xrays": np.stack(xrays).astype("float16"),
        "drrs": images_of(scene, near, "joseph").astype("float16"),
        "plain": plain.astype("float16"),
    }


def images_of(scene: Sequence[np.ndarray], coefficients: np.ndarray, method: str) -> np.ndarray:
    """The skull under deformations, ``(n, rows, columns)`` float32.

    Args:
        scene: of :meth:`Craniofacial.scene`.
        coefficients: ``(n, k)``.
        method: of :func:`tfreg.ops.project`.
    """
    volume, fields, source, direction = scene
    found = []
    for k in range(0, len(coefficients), _TOGETHER):
        part = coefficients[k : k + _TOGETHER]
        rays = [np.repeat(side, len(part), axis=0) for side in (source, direction)]
        image = ops.project(deformed_volume(volume, fields, part), *rays, method)
        found.append(keras_ops.convert_to_numpy(image)[..., 0])
    return np.concatenate(found)


def bone_error(
    image: Image, fields: np.ndarray, found: np.ndarray, true: np.ndarray, level: float = 250.0
) -> float:
    """Mean distance in mm between where bone is taken from under two deformations.

    Args:
        image: in HU.
        fields: ``(k, z, y, x, 3)`` in voxels.
        found, true: ``(k,)``.
        level: HU above which a voxel is bone.
    """
    bone = image.array > level
    difference = np.einsum("k,kna->na", np.asarray(found) - true, fields[:, bone])
    return float(np.linalg.norm(difference * image.geometry.spacing[::-1], axis=1).mean())


def _unit(images: np.ndarray) -> np.ndarray:
    return keras_ops.convert_to_numpy(standardised(images[..., None]))[..., 0]
