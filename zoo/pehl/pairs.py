"""Training pairs of a pose and an offset, as local image residuals and what is to be found in them.

Rendering takes most of a training, so pairs are made once and kept in files until their group is
trained; a training that was interrupted goes on with those that are there.
"""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfreg import ops
from tfreg.data import Array, Batches
from tfreg.data.xrays import Look, backgrounds, degraded, rendered
from zoo.pehl.model import PEHL
from zoo.pehl.objects import Thing, poses
from zoo.pehl.paper import PERTURBATION

CHUNK = 100  # pairs in a file
_TRAINING, _HELD_OUT = 0, 1  # pools of backgrounds
_SHARED = 4  # pairs whose X-rays are of one pose, each with a background and noise of its own
_TOGETHER = 4  # pairs whose patches are rendered together


class Pairs(Batches):
    """Random pairs of one zone and group, from files that :meth:`prepare` makes.

    A batch holds ``residuals`` ``(n, size, size)`` and ``offsets``, those of the group's parameters
    in units of its ranges.

    Args:
        model: whose residuals they are.
        group: 0 to 2.
        thing: the object.
        spans: ``(6,)``: offsets are uniform within plus and minus.
        count: of all pairs, a multiple of 100.
        folder: where the files are.
        batch_size, seed: as :class:`tfreg.data.Batches`.
        near: whether the offsets of every second pair are nearer, all six of them times one factor
            between 0 and 1: what is left in the last iterations is small, and seldom drawn else.
    """

    def __init__(
        self,
        model: PEHL,
        group: int,
        thing: Thing,
        spans: Sequence[float],
        count: int,
        folder: Path,
        batch_size: int,
        seed: int,
        near: bool = True,
    ) -> None:
        shape = (len(model.points), model.size, model.size)
        arrays = {"residuals": Array(shape), "offsets": Array((len(model.groups[group]),))}
        super().__init__(batch_size, seed, arrays, ("offsets",), count)
        self.model, self.group, self.thing = model, group, thing
        self.spans, self.near = np.array(spans, float), near
        self.folder = Path(folder)
        self._files: list[tuple[np.ndarray, np.ndarray]] = []

    def batch(self, step: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.seed, step])
        picks = rng.integers(self.count, size=self.batch_size)
        files = self._files
        residuals = np.stack([files[k // CHUNK][0][k % CHUNK] for k in picks])
        offsets = np.stack([files[k // CHUNK][1][k % CHUNK] for k in picks])
        return {"residuals": residuals.astype("float32"), "offsets": offsets}

    def chunk(
        self, number: int, count: int, pool: int = _TRAINING
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of one file: residuals float16 and offsets float32.

        Args:
            number: of the file, on which alone they depend.
            count: of pairs.
            pool: of backgrounds.
        """
        rng = np.random.default_rng([self.seed, self.group, number])
        thing, model = self.thing, self.model
        where = poses(model.zone, -(-count // _SHARED), rng)
        xrays = synthetic(thing, where, rng, pool=pool, each=_SHARED)[:count]
        offsets = rng.uniform(-1, 1, (count, 6)) * self.spans
        if self.near and pool == _TRAINING:
            offsets[1::2] *= rng.uniform(size=(len(offsets[1::2]), 1))
        start = np.repeat(where, _SHARED, axis=0)[:count] - offsets
        residuals = model.function(("residuals",), lambda: ops.graph(model.residuals))
        volume, frame, seen, focal, principal = map(
            keras.ops.convert_to_tensor, model.scene(thing.volume, xrays, thing.camera)
        )
        parts = []
        for k in range(0, count, _TOGETHER):
            part = slice(k, k + _TOGETHER)
            pose = keras.ops.convert_to_tensor(start[part].astype("float32"))
            found = residuals(volume, frame, seen[part], pose, focal, principal)
            parts.append(keras.ops.convert_to_numpy(found).astype("float16"))
        own = offsets[:, list(model.groups[self.group])] / model.ranges[self.group]
        return np.concatenate(parts), own.astype("float32")

    def held_out(self, count: int) -> dict[str, np.ndarray]:
        """As many pairs as a batch of others, before other backgrounds, none of them nearer."""
        residuals, offsets = self.chunk(2**20, count, _HELD_OUT)
        return {"residuals": residuals.astype("float32"), "offsets": offsets}

    def prepare(self) -> None:
        """Makes those files that are not there yet, on all cores."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # One alone first: functions that threads compile together are compiled several times.
        first, rest = self._file(0), range(1, self.count // CHUNK)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self._files = [first, *pool.map(self._file, rest)]

    def discard(self) -> None:
        """Deletes the files."""
        self._files = []
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Residuals that stay on disk, and offsets."""
        paths = [self.folder / f"{number:04d}-{part}.npy" for part in ("residuals", "offsets")]
        if not all(path.exists() for path in paths):
            for path, array in zip(paths, self.chunk(number, CHUNK), strict=True):
                partial = path.with_suffix(".partial")
                with open(partial, "wb") as file:
                    np.save(file, array)
                os.replace(partial, path)
        return np.load(paths[0], mmap_mode="r"), np.load(paths[1])


def synthetic(
    thing: Thing,
    where: np.ndarray,
    rng: np.random.Generator,
    look: Look | None = None,
    pool: int = _HELD_OUT,
    each: int = 1,
) -> np.ndarray:
    """Synthetic X-rays ``(n, rows, columns)`` of an object at poses.

    Args:
        thing: the object.
        where: ``(n, 6)``.
        rng: of everything random in them.
        look: how they look; None: as in training.
        pool: of backgrounds, by default another than that of training.
        each: images of each pose, one after the other, which are alike but for what is random.
    """
    images = np.repeat(rendered(thing.fine, thing.camera, where), each, axis=0)
    behind = backgrounds(thing.camera, len(images), rng, thing.chest, pool)
    pairs = zip(images, behind, strict=True)
    return np.stack([degraded(*pair, look or Look(), rng) for pair in pairs])


def starts(model: PEHL, thing: Thing, count: int, seed: int) -> dict[str, np.ndarray]:
    """Held-out starts, off by the paper's perturbation, as ``PEHL.score`` takes them.

    Args:
        model: whose zone the true poses are in.
        thing: the object.
        count: of starts, each with an X-ray of its own.
        seed: of the poses, the offsets and the X-rays.
    """
    rng = np.random.default_rng([seed, 2**20])
    true = poses(model.zone, count, rng)
    start = true + rng.normal(size=true.shape) * PERTURBATION
    xrays = synthetic(thing, true, rng)
    volume, frame, seen, focal, principal = model.scene(thing.volume, xrays, thing.camera)
    found: dict[str, Any] = {
        "volume": volume,
        "frame": frame[None],
        "xray": seen,
        "focal": focal[None],
        "principal": principal[None],
        "start": start.astype("float32"),
        "true": true.astype("float32"),
    }
    return found


class Starts(Batches):
    """Starts of a whole registration: what a preset's score is taken on, not trained on."""

    def __init__(self, held_out: dict[str, np.ndarray], batch_size: int, seed: int) -> None:
        arrays = {name: Array(array.shape[1:]) for name, array in held_out.items()}
        super().__init__(batch_size, seed, arrays, ("true",), len(held_out["start"]))
        self.held_out = held_out

    def batch(self, step: int) -> dict[str, np.ndarray]:
        return self.held_out
