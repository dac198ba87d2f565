"""The answer of a registration, the same from a network and from instance optimisation."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.errors import InputError
from tfreg.registration.kinds import LINEAR
from tfreg.registration.path import FlowPath, GeodesicPath
from tfreg.registration.search_report import SearchReport


@dataclass(frozen=True)
class LevelReport:
    """What one level of an instance optimisation did.

    Attributes:
        transform: kind of the transform.
        shape: spatial shape of the level.
        steps: steps taken, per pair.
        loss_before: the minimised sum (regulariser minus similarity) at its start, per pair.
        loss_after: the same at its end.
        seconds: time of the level, without compiling.
    """

    transform: str
    shape: tuple[int, ...]
    steps: np.ndarray
    loss_before: np.ndarray
    loss_after: np.ndarray
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.transform} {'x'.join(map(str, self.shape))}: loss "
            f"{self.loss_before.mean():.4f} -> {self.loss_after.mean():.4f} in {self.steps.max()} "
            f"steps, {self.seconds:.3g} s"
        )


@dataclass(frozen=True)
class StageReport:
    """What became of one transform of a sequence.

    Attributes:
        transform: its kind.
        accepted: whether it is part of the answer, per pair; else the similarity of what both
            images show got worse with it.
    """

    transform: str
    accepted: np.ndarray


_WORSE = 1e-3  # of a similarity, from which a loss is worth looking at
_VOLUME = 2.0  # times as large or as small, from which a change of volume is
_UNLIKE = 0.8  # NCC below which a linear transform has left much to be explained


@dataclass(frozen=True)
class Check:
    """Is a registration plausible? Every figure is the worst of a batch.

    Attributes:
        folding: share of voxels where the map folds, in %.
        jacobian_min: smallest Jacobian determinant.
        jacobian_max: largest.
        outside: share of voxels of the fixed image that are taken outside the moving image, in %.
        similarity: name of the similarity.
        similarity_before: at the start.
        similarity_after: at the end.
        accepted: whether no transform of any pair had to be left out.
        volume: factor by which the map changes the volume of the image, the mean of the Jacobian.
        left_out: kinds of the transforms that had to be left out.
        linear: whether the last transform is linear.
        remarks: what the intensities say against the similarity.
    """

    folding: float
    jacobian_min: float
    jacobian_max: float
    outside: float
    similarity: str
    similarity_before: float
    similarity_after: float
    accepted: bool
    volume: float = 1.0
    left_out: tuple[str, ...] = ()
    linear: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What should be looked at; empty if nothing."""
        found = []
        if self.folding > 0:
            found.append(f"the map folds in {self.folding:.2g} % of the voxels")
        if self.jacobian_max > 10:
            found.append(f"volume grows up to {self.jacobian_max:.3g} times")
        if self.outside > 25:
            found.append(f"{self.outside:.3g} % of the voxels map outside the moving image")
        if self.similarity_after < self.similarity_before - _WORSE:
            found.append("the similarity got worse")
        found += [f"the {kind} stage made it worse and was left out" for kind in self.left_out]
        if not 1 / _VOLUME < self.volume < _VOLUME:
            found.append(f"the map changes the volume by a factor of {self.volume:.2g}")
        if self.linear and self.similarity == "ncc" and self.similarity_after < _UNLIKE:
            found.append(
                f"a linear transform leaves the images unlike, ncc {self.similarity_after:.2f}: "
                "labels may agree less than before"
            )
        return (*found, *self.remarks)

    def __str__(self) -> str:
        return (
            f"{self.similarity} {self.similarity_before:.4f} -> {self.similarity_after:.4f}, "
            f"folding {self.folding:.2g} %, Jacobian {self.jacobian_min:.3g} to "
            f"{self.jacobian_max:.3g}, outside {self.outside:.3g} %; "
            + ("; ".join(self.problems) or "nothing to look at")
        )


@dataclass(frozen=True)
class Estimate:
    """What a model answers for a batch of pairs: a transform, and what led to it.

    Attributes:
        displacement: ``(batch, *spatial, ndim)`` in voxels, on the grid of the fixed image; or else
        matrix: ``(batch, ndim, ndim + 1)``, from fixed to moving voxels.
        parameters: what the transform is made of, from which refining in steps goes on; ``None``:
            the model has none.
        details: what is to be kept on the answer, by name, an array ``(batch, ...)`` each.
        judged: moved images ``(batch, *spatial, 1)``, NCC before and after, where the model has
            computed them on its way; ``None``: they are computed from the transform.
        path: the geodesic whose end the displacement is, if it is one.
    """

    displacement: Any = None
    matrix: Any = None
    parameters: Any = None
    details: dict[str, Any] = field(default_factory=dict)
    judged: tuple[Any, Any, Any] | None = None
    path: GeodesicPath | None = None


@dataclass(frozen=True)
class Registration:
    """The answer to "where in the moving image is each point of the fixed image?".

    Attributes:
        fixed: the fixed images ``(batch, *spatial)``; for a single pair without the batch axis, as
            everything below.
        moving: the moving images.
        moved: the moving images warped onto the fixed ones, in their own intensities.
        displacement: ``(batch, *spatial, ndim)``, ``moved(x) = moving(x + displacement(x))``, in
            voxels, array-axis order.
        similarity_before: similarity of the fixed and the moving images, one per pair, higher is
            better; of an instance optimisation that began with a start, at that start.
        similarity_after: similarity of the fixed and the moved images.
        seconds: time of preprocessing, network, refinement and warping of the whole batch. A
            network's first call for a shape includes compilation.
        compile_seconds: of an instance optimisation, the time of compiling, which ``seconds`` does
            not include; 0 for a shape that was registered before.
        similarity: which similarity that is.
        accepted: of an instance optimisation, whether the similarity got worse with none of its
            transforms; one with which it did is left out, and the displacement is what that
            transform started from.
        levels: of an instance optimisation, what each level did.
        stages: of an instance optimisation, what became of each transform.
        remarks: for each pair what its intensities say against the similarity; empty for nothing.
        details: what else a model knows of its answer, by name, an array per pair.
        path: of an LDDMM, the geodesic whose end the displacement is, with its momentum; of a
            velocity its flow, whose :meth:`FlowPath.forward` is the inverse.
        search: what a search for the initial alignment tried, where there was one.
    """

    fixed: np.ndarray
    moving: np.ndarray
    moved: np.ndarray
    displacement: np.ndarray
    similarity_before: np.ndarray | float
    similarity_after: np.ndarray | float
    seconds: float
    compile_seconds: float = 0.0
    similarity: str = "ncc"
    accepted: np.ndarray | bool = True
    levels: tuple[LevelReport, ...] = ()
    stages: tuple[StageReport, ...] = ()
    remarks: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    path: GeodesicPath | FlowPath | None = None
    search: SearchReport | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """The remarks that there are, of a batch with the pair they are about."""
        about = [f" (pair {index})" * self._batched for index in range(len(self.remarks))]
        return tuple(f"{r}{a}" for r, a in zip(self.remarks, about, strict=True) if r)

    @property
    def steps(self) -> np.ndarray:
        """Of a model that walks, all transforms on its way, ``(n, ndim, ndim + 1)``, of a batch
        with its axis before, the last one repeated; what they map, its own page says.

        Raises:
            InputError: where the model took no steps.
        """
        if "poses" not in self.details:
            raise InputError("This answer was not found in steps. Received: no poses in details")
        return self.details["poses"]

    @cached_property
    def jacobian_determinant(self) -> np.ndarray:
        """``det(I + grad u)`` per voxel; at or below zero the map folds."""
        batch = self.displacement if self._batched else self.displacement[None]
        determinant = keras_ops.convert_to_numpy(ops.jacobian_determinant(batch))
        return determinant if self._batched else determinant[0]

    def warp_points(self, points: Any) -> np.ndarray:
        """Takes points of the fixed image to where they are in the moving image: ``x + u(x)``.

        Args:
            points: ``(n, ndim)`` positions in voxels of the fixed image, array-axis order; for a
                batch ``(batch, n, ndim)``.

        Returns:
            Array of the same shape, in voxels of the moving image. Between voxels ``u`` is
            interpolated linearly; outside the image it is that of the nearest border voxel.

        Raises:
            InputError: on another shape.
        """
        points = np.asarray(points, dtype="float32")
        ndim = self.displacement.shape[-1]
        expected = 3 if self._batched else 2
        if points.ndim != expected or points.shape[-1] != ndim:
            raise InputError(
                f"points must be {'(batch, n' if self._batched else '(n'}, {ndim}). "
                f"Received: shape={points.shape}"
            )
        field, where = self.displacement, points
        if not self._batched:
            field, where = field[None], where[None]
        moved = where + keras_ops.convert_to_numpy(ops.sample(field, where))
        return moved if self._batched else moved[0]

    def at(self, time: float) -> np.ndarray:
        """The displacement on the way: of an LDDMM or a velocity, that at a time of its path.

        Args:
            time: 0 is the start, 1 the answer; beyond, the path goes on.

        Returns:
            Array of the shape of ``displacement``.

        Raises:
            InputError: on no number, or where the answer is not the end of a path.
        """
        if self.path is None:
            raise InputError(
                "Only an answer whose last transform is lddmm or velocity is the end of a path. "
                f"Received: {', '.join(s.transform for s in self.stages) or 'a network'}"
            )
        return self.path.at(time)

    def item(self, index: int) -> "Registration":
        """One pair of a batch; its time is its share of that of the batch.

        Raises:
            InputError: if this is no batch, or has no such pair.
        """
        if not self._batched or not 0 <= index < len(self.displacement):
            raise InputError(f"There is no such pair in this answer. Received: index={index}")
        arrays = ("fixed", "moving", "moved", "displacement")
        found = replace(
            self,
            **{name: getattr(self, name)[index] for name in arrays},
            similarity_before=float(self.similarity_before[index]),
            similarity_after=float(self.similarity_after[index]),
            accepted=bool(np.broadcast_to(self.accepted, len(self.displacement))[index]),
            stages=tuple(replace(s, accepted=s.accepted[index : index + 1]) for s in self.stages),
            remarks=self.remarks[index : index + 1],
            seconds=self.seconds / len(self.displacement),
            details={name: values[index] for name, values in self.details.items()},
            path=None if self.path is None else self.path.item(index),
        )
        if "jacobian_determinant" in self.__dict__:  # already computed, for all at once
            found.__dict__["jacobian_determinant"] = self.jacobian_determinant[index]
        return found

    def check(self) -> Check:
        """Folding, Jacobian range, similarity before and after, share of voxels outside.

        Example:

        >>> import numpy as np
        >>> from tfreg.registration import register
        >>> image = np.random.default_rng(0).random((24, 24))
        >>> check = register(image, image, "rigid").check()
        >>> check.folding, check.accepted, check.problems
        (0.0, True, ())
        """
        determinant = self.jacobian_determinant
        field = self.displacement if self._batched else self.displacement[None]
        ndim = field.shape[-1]
        where = np.moveaxis(np.indices(field.shape[1:-1]), 0, -1) + field
        size = np.array(np.shape(self.moving)[self._batched :][:ndim])
        outside = ((where < -0.5) | (where > size - 0.5)).any(axis=-1)
        spatial = tuple(range(1, ndim + 1))
        folding = (determinant <= 0).reshape(len(field), -1).mean(axis=1)
        volumes = determinant.reshape(len(field), -1).mean(axis=1, dtype="float64")
        left_out = dict.fromkeys(s.transform for s in self.stages if not np.all(s.accepted))
        return Check(
            folding=100 * float(folding.max()),
            jacobian_min=float(determinant.min()),
            jacobian_max=float(determinant.max()),
            outside=100 * float(outside.mean(axis=spatial).max()),
            similarity=self.similarity,
            similarity_before=float(np.min(self.similarity_before)),
            similarity_after=float(np.min(self.similarity_after)),
            accepted=bool(np.all(self.accepted)),
            volume=float(max(volumes, key=lambda v: abs(np.log(max(v, 1e-6))))),
            left_out=tuple(left_out),
            linear=bool(self.stages) and self.stages[-1].transform in LINEAR,
            remarks=self.warnings,
        )

    @property
    def _batched(self) -> bool:
        return self.displacement.ndim == self.displacement.shape[-1] + 2
