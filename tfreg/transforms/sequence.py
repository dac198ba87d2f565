"""Transforms made of others: one after the other, or their displacements added."""

import functools
import itertools
import warnings
from collections.abc import Iterable, Iterator

import numpy as np

from tfreg.errors import InputError, InputWarning
from tfreg.geometry import Geometry
from tfreg.transforms.affine import Affine
from tfreg.transforms.base import Transform
from tfreg.transforms.inverse import TOLERANCE, Inverse


class Sequence(Transform):
    """``T(x) = T_k(... T_2(T_1(x)))``: the first transform is applied to the points first.

    ITK's composite transforms and the list of ``antsApplyTransforms`` are written the other way
    round; reading and writing those files takes care of it.

    Args:
        transforms: one or more, of the same dimension; sequences among them are taken apart.

    Raises:
        InputError: if there is none, or dimensions differ.

    Example:

    >>> double, shift = Affine(2 * np.eye(2), [0, 0]), Affine(np.eye(2), [1, 0])
    >>> Sequence([double, shift]).apply_points([[1.0, 1.0]]).tolist()
    [[3.0, 2.0]]
    """

    def __init__(self, transforms: Iterable[Transform]) -> None:
        flat = ([*t.transforms] if isinstance(t, Sequence) else [t] for t in transforms)
        self.transforms = _checked(itertools.chain.from_iterable(flat))
        self.ndim = self.transforms[0].ndim
        self.residual = sum(transform.residual for transform in self.transforms)
        self._inverted: Sequence | None = None  # what this is the inverse of, exactly

    def __repr__(self) -> str:
        return f"Sequence([{', '.join(map(repr, self.transforms))}])"

    def inverse(self) -> "Sequence":
        """The inverses, the last one first; the residual is that of the whole.

        Warns:
            InputWarning: if it is not exact to 0.001 mm where it was measured.
        """
        if self._inverted is not None:
            return self._inverted
        with warnings.catch_warnings():  # of the parts: the whole is measured
            warnings.simplefilter("ignore", InputWarning)
            inverse = Sequence([transform.inverse() for transform in self.transforms[::-1]])
            inverse._inverted = self
            samples = self._samples()
            if len(samples):
                targets = self._map(samples)
                missed = np.linalg.norm(self._map(inverse._map(targets)) - targets, axis=1)
                inverse.residual = float(missed.max())
        if not inverse.residual <= TOLERANCE:
            kinds = ", ".join(type(transform).__name__ for transform in self.transforms)
            warnings.warn(
                f"The inverse of this sequence ({kinds}) misses its target by up to "
                f"{inverse.residual:.3g} mm where it was measured: the map may fold.",
                InputWarning,
                stacklevel=2,
            )
        return inverse

    def merged(self) -> Transform:
        """The same map with neighbouring linear transforms multiplied into one.

        Example:

        >>> shift = Affine(np.eye(2), [1, 0])
        >>> Sequence([shift, shift]).merged().offset.tolist()
        [2.0, 0.0]
        """
        parts: list[Transform] = []
        for transform in self.transforms:
            if parts and isinstance(transform, Affine) and isinstance(parts[-1], Affine):
                inner = parts.pop()
                matrix = transform.matrix @ inner.matrix
                # Around the inner centre, so that the translation stays small.
                moved = transform._map(inner._map(inner.centre[None]))[0]
                transform = Affine(matrix, moved - inner.centre, inner.centre)
            parts.append(transform)
        return parts[0] if len(parts) == 1 else Sequence(parts)

    def _map(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        for transform in self.transforms:
            points = transform._map(points, continued)
        return points

    def _jacobian(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        total = self.transforms[0]._jacobian(points, continued)
        for before, transform in itertools.pairwise(self.transforms):
            points = before._map(points, continued)
            total = transform._jacobian(points, continued) @ total
        return total

    def _samples(self) -> np.ndarray:
        for position, transform in enumerate(self.transforms):
            samples = transform._samples()
            if not len(samples):
                continue
            for before in self.transforms[:position][::-1]:
                samples = before.inverse()._map(samples)
            return samples
        return super()._samples()

    def _slabs(self, grid: Geometry) -> Iterator[tuple[slice, np.ndarray]]:
        first, *rest = self.transforms
        for rows, points in first._slabs(grid):
            yield rows, functools.reduce(lambda found, t: t._map(found), rest, points)


class Sum(Transform):
    """``T(x) = x + sum_i (T_i(x) - x)``: displacements added, as elastix can combine transforms.

    Args:
        transforms: one or more, of the same dimension.

    Raises:
        InputError: if there is none, or dimensions differ.

    Example:

    >>> double, shift = Affine(2 * np.eye(2), [0, 0]), Affine(np.eye(2), [1, 0])
    >>> Sum([double, shift]).apply_points([[1.0, 1.0]]).tolist()
    [[3.0, 2.0]]
    """

    def __init__(self, transforms: Iterable[Transform]) -> None:
        self.transforms = _checked(transforms)
        self.ndim = self.transforms[0].ndim
        self.residual = sum(transform.residual for transform in self.transforms)

    def __repr__(self) -> str:
        return f"Sum([{', '.join(map(repr, self.transforms))}])"

    def inverse(self) -> Inverse:
        """The numerical inverse, found point by point.

        Warns:
            InputWarning: if it is not exact to 0.001 mm where it was measured.
        """
        return Inverse(self)

    def _map(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        return points + sum(t._map(points, continued) - points for t in self.transforms)

    def _jacobian(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        identity = np.eye(self.ndim)
        return identity + sum(t._jacobian(points, continued) - identity for t in self.transforms)

    def _samples(self) -> np.ndarray:
        return np.concatenate([transform._samples() for transform in self.transforms])


def compose(*transforms: Transform) -> Sequence:
    """``T(x) = T_k(... T_2(T_1(x)))``: the transforms one after the other, the first one first.

    Args:
        transforms: one or more, of the same dimension.

    Raises:
        InputError: if there is none, or dimensions differ.

    Example:

    >>> shift = Affine(np.eye(2), [1, 0])
    >>> compose(shift, shift).apply_points([[0.0, 0.0]]).tolist()
    [[2.0, 0.0]]
    """
    return Sequence(transforms)


def _checked(transforms: Iterable[Transform]) -> tuple[Transform, ...]:
    transforms = tuple(transforms)
    if not transforms:
        raise InputError("A sequence needs one transform at least. Received: none")
    for transform in transforms:
        if not isinstance(transform, Transform):
            raise InputError(f"Only transforms can be combined. Received: {transform!r}")
    if len({transform.ndim for transform in transforms}) > 1:
        raise InputError(
            "Transforms that are combined must have the same dimension. "
            f"Received: {', '.join(f'{t.ndim}-D' for t in transforms)}"
        )
    return transforms
