"""Pairs of what is seen, made on the grid of the agent as they are needed.

With ``A`` a random affine co-deformation and ``G`` the place of the subject in the fixed image::

    fixed(x) = cone_beam(remap(subject(A G x)))      moved(x) = subject(A G F^-1 x)

where ``F = T o T_g^-1``: a state needs neither ``T`` nor ``T_g``.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.data import cone_beam
from zoo.agent import observation
from zoo.agent.rigid import chained, inverse, transform
from zoo.agent.subjects import Subjects, fixed_pose, look, remap

_STRETCH = 0.06  # standard deviation of the co-deformation
_BOXED = 0.3  # share of fixed images whose mask is the box about the field of view


class Scenes:
    """Scenes by number: the same number is the same scene, seen at any offset.

    Args:
        subjects: whose images.
        size, spacing: voxels per axis of the grid of what is seen, and mm between them.
        how: see :func:`zoo.agent.observation.seen`.
        posed: whether the subject lies at random in the fixed image; else as it was scanned.
        stretched: whether both images are deformed alike.

    Example:

    >>> import numpy as np
    >>> from zoo.agent.scenes import Scenes
    >>> from zoo.agent.subjects import subjects
    >>> scenes = Scenes(subjects("brain", "validation", "phantom", 4.0), (40,) * 3, 8.0)
    >>> scenes.render([(0, 1), (0, 2)], np.zeros((2, 6))).shape
    (2, 40, 40, 40, 3)
    """

    def __init__(
        self,
        subjects: Subjects,
        size: Sequence[int],
        spacing: float,
        how: str = "channels",
        posed: bool = True,
        stretched: bool = True,
    ) -> None:
        self.subjects, self.how = subjects, how
        self.size, self.spacing = tuple(size), float(spacing)
        self.posed, self.stretched = posed, stretched
        steps = subjects.spacing
        smooth = observation.smoothed(subjects.volumes[..., None], steps, spacing)
        self._volumes = keras_ops.convert_to_tensor(smooth.astype("float32"))
        self._to_voxels = observation.voxels(self._volumes.shape[1:4], steps)
        self._to_mm = observation.grid(self.size, self.spacing)

    def render(self, numbers: Sequence[tuple[int, ...]], offsets: np.ndarray) -> np.ndarray:
        """What is seen of scenes.

        Args:
            numbers: seeds of the scenes.
            offsets: ``(n, 6)`` parameters of ``T o T_g^-1``, mm and degrees.

        Returns:
            ``(n, *size, channels)`` float32.
        """
        sources = [np.random.default_rng([7, *number]) for number in numbers]
        chosen = [int(rng.integers(len(self.subjects))) for rng in sources]
        places = self._places(chosen, sources)
        back = inverse(transform(np.asarray(offsets, "float32")))
        matrices = (
            chained(self._to_voxels, places, self._to_mm),
            chained(self._to_voxels, places, back, self._to_mm),
        )
        sample, index = _sampler(self.size), np.array(chosen, "int32")
        fixed, moved = (
            keras_ops.convert_to_numpy(sample(self._volumes, index, matrix)) for matrix in matrices
        )
        masks = [self._shown(one, rng) for one, rng in zip(matrices[1], sources, strict=True)]
        return self._looked(fixed[..., 0], moved[..., 0], masks, sources)

    def _shown(self, matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Where the moved image shows something: its scan, cut at its ends at random."""
        inside = np.ones(self.size, bool)
        subjects = self.subjects
        cut = rng.uniform(0, 1, (2, 3)) * subjects.kind.trimmed / np.array(subjects.spacing)
        for axis, n in enumerate(self._volumes.shape[1:4]):
            row = matrix[axis]
            index = np.ogrid[tuple(map(slice, self.size))]
            place = sum(step * one for step, one in zip(row[:3], index, strict=True)) + row[3]
            inside &= (place >= cut[0, axis]) & (place <= n - 1 - cut[1, axis])
        return inside

    def _places(self, chosen: Sequence[int], sources: Sequence[np.random.Generator]) -> np.ndarray:
        """``A G`` of each scene."""
        kind, middles = self.subjects.kind, self.subjects.middles
        poses = [fixed_pose(kind, middles[k], rng) for k, rng in zip(chosen, sources, strict=True)]
        turned = np.stack(poses).astype("float32")
        turned[:, 3:] *= self.posed
        deviation = _STRETCH if self.stretched else 0.0
        stretches = np.stack([np.eye(3) + rng.normal(0, deviation, (3, 3)) for rng in sources])
        linear = np.concatenate([stretches, np.zeros((len(sources), 3, 1))], axis=2)
        return chained(linear, transform(turned))

    def _looked(
        self,
        fixed: np.ndarray,
        moved: np.ndarray,
        shown: Sequence[np.ndarray],
        sources: Sequence[np.random.Generator],
    ) -> np.ndarray:
        images, others, masks = [], [], []
        kind, steps = self.subjects.kind, (self.spacing,) * 3
        for image, other, inside, rng in zip(fixed, moved, shown, sources, strict=True):
            if kind.remapped:
                # Either image may be the one of the known contrast.
                if rng.random() < 0.5:
                    image = remap(image, rng)
                else:
                    other = remap(other, rng)
            image, mask = cone_beam.simulate(image, steps, look(kind, rng), rng, extent=1.0)
            within = mask > 0
            low, high = image[within].min(), image[within].max()
            image = (image - low) / max(high - low, 1e-6)
            if rng.random() < _BOXED:
                mask = _box(mask)
            images.append(image * mask)
            others.append(_scaled(other, rng) * inside)
            masks.append(mask * inside)
        parts = (np.stack(part).astype("float32")[..., None] for part in (images, others, masks))
        return keras_ops.convert_to_numpy(observation.seen(self.how, *parts))


@functools.cache
def _sampler(size: tuple[int, ...]) -> Callable:
    """Some volumes of a stack on the grid of what is seen, compiled."""

    def sample(volumes: Any, index: Any, matrix: Any) -> Any:
        return observation.at(keras_ops.take(volumes, index, axis=0), matrix, size)[0]

    return ops.compiled(sample)


def _scaled(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A little brighter or darker, with a little noise, as ranges of real images differ."""
    noise = rng.standard_normal(image.shape, dtype="float32")
    return rng.uniform(0.85, 1.1) * image + np.float32(rng.uniform(0, 0.02)) * noise


def _box(mask: np.ndarray) -> np.ndarray:
    """The box about a mask."""
    places = np.argwhere(mask)
    box = np.zeros_like(mask)
    box[tuple(map(slice, places.min(axis=0), places.max(axis=0) + 1))] = 1
    return box
