"""The operator of fluid registration: momentum to velocity, ``v = K m`` with ``K = L^-1``.

``L = -a Laplacian - b grad(div) + c`` on a periodic grid, with finite differences: in Fourier space
a symmetric matrix per frequency, whose inverse is written out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from tfreg.ops.backend import from_spectrum, spectrum
from tfreg.ops.precision import at_least_float32


@dataclass(frozen=True)
class FluidOperator:
    """The coefficients of ``L = -a Laplacian - b grad(div) + c``, lengths in mm.

    Fields without divergence are smoothed over ``sqrt(a / c)``, those without curl over
    ``sqrt((a + b) / c)``: 3.2 and 4.5 mm.

    Attributes:
        a: of the Laplacian, mm^2.
        b: of the gradient of the divergence, mm^2.
        c: of the field itself.

    Raises:
        ValueError: on coefficients with which the operator has no inverse.

    Reference:
        Christensen, Rabbitt and Miller, Deformable templates using large deformation kinematics,
        IEEE Transactions on Image Processing 5(10), 1996.
    """

    a: float = 0.01
    b: float = 0.01
    c: float = 0.001

    def __post_init__(self) -> None:
        values = (self.a, self.b, self.c)
        if not all(math.isfinite(v) for v in values) or min(values[:2]) < 0 or self.c <= 0:
            raise ValueError(
                f"a and b must be 0 or more, c more than 0. Received: a={self.a}, b={self.b}, "
                f"c={self.c}"
            )


def fluid_velocity(
    momentum: Any,
    spacing: Sequence[float] | None = None,
    operator: FluidOperator | None = None,
) -> Any:
    """The velocity of a momentum: ``v = K m``.

    K is its own adjoint: the gradient of this function is the function itself.

    Args:
        momentum: tensor ``(batch, *spatial, ndim)``, 2-D or 3-D, so that ``sum(m * v)`` is the
            pairing with a velocity in voxels: its components are those in mm times the spacing.
        spacing: size of a voxel per axis in mm; ``None``: 1 each.
        operator: the coefficients; ``None``: those of Quicksilver.

    Returns:
        Tensor of the same shape, in voxels per unit time.

    Raises:
        ValueError: on a shape or a spacing that does not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> constant = np.full((1, 6, 8, 2), 0.002, "float32")
    >>> round(float(ops.fluid_velocity(constant)[0, 0, 0, 0]), 4)
    2.0

    Reference:
        Yang, Kwitt, Styner and Niethammer, Quicksilver: fast predictive image registration,
        NeuroImage 158, 2017.
    """
    momentum = at_least_float32(momentum)
    spacing = checked_spacing(momentum, spacing)
    operator = operator or FluidOperator()

    @ops.custom_gradient
    def smoothed(m: Any) -> tuple:
        def gradient(*args: Any, upstream: Any = None) -> Any:
            return _last(smooth(_first(args[0] if upstream is None else upstream)))

        return _last(smooth(_first(ops.stop_gradient(m)))), gradient

    def smooth(components: Any) -> Any:
        return apply_kernel(components, spacing, operator)

    return smoothed(momentum)


def checked_spacing(momentum: Any, spacing: Sequence[float] | None) -> tuple[float, ...]:
    """The spacing, 1 each where none is given.

    Raises:
        ValueError: on a momentum that is none, or a spacing that does not fit it.
    """
    ndim = momentum.shape[-1]
    if ndim not in (2, 3) or len(momentum.shape) != ndim + 2 or None in momentum.shape[1:]:
        raise ValueError(
            "momentum must be (batch, *spatial, ndim) of a known size, 2-D or 3-D. "
            f"Received: momentum.shape={tuple(momentum.shape)}"
        )
    found = (1.0,) * ndim if spacing is None else tuple(float(s) for s in spacing)
    if len(found) != ndim or not all(math.isfinite(s) and s > 0 for s in found):
        raise ValueError(f"spacing must be {ndim} positive numbers. Received: spacing={spacing}")
    return found


def apply_kernel(momentum: Any, spacing: tuple[float, ...], operator: FluidOperator) -> Any:
    """``K m`` of components ``(ndim, batch, *spatial)``, without a gradient of its own.

    With finite differences ``L = D + b S S^T`` per frequency, D diagonal: ``D_d = -a sum C + c - b
    (C_d + S_d^2)`` and ``C_d = (2 cos t - 2) / h_d^2``, ``S_d = sin t / h_d`` at the angle t of the
    axis. So ``L^-1 m = D^-1 (m - b S (S^T D^-1 m) / (1 + b S^T D^-1 S))``.
    """
    shape = tuple(momentum.shape[2:])
    ndim = len(shape)
    dtype = keras.backend.standardize_dtype(momentum.dtype)

    def along(axis: int, values: np.ndarray) -> Any:
        return values.reshape([-1 if other == axis else 1 for other in range(ndim)])

    second, slope = [], []
    for axis, (size, step) in enumerate(zip(shape, spacing, strict=True)):
        angle = 2 * np.pi * np.arange(size // 2 + 1 if axis == ndim - 1 else size) / size
        second.append(along(axis, (2 * np.cos(angle) - 2) / step**2))
        slope.append(along(axis, np.sin(angle) / step))

    def tensor(values: np.ndarray) -> Any:
        return ops.convert_to_tensor(values, dtype)

    # Small arrays along each axis: the frequencies of the volume come about where they are used.
    common = sum(tensor(-operator.a * c) for c in second) + operator.c
    inverse = [
        1.0 / (common + tensor(-operator.b * (c + s * s)))
        for c, s in zip(second, slope, strict=True)
    ]
    slopes = [tensor(s) for s in slope]
    steps = [1.0 / step for step in spacing]  # of components in mm, and back
    whole = 1.0 + operator.b * sum(s * s * d for s, d in zip(slopes, inverse, strict=True))

    def solved(part: Any) -> Any:
        scaled = [part[axis] * (steps[axis] * inverse[axis]) for axis in range(ndim)]
        along_slope = sum(s * m for s, m in zip(slopes, scaled, strict=True)) / whole
        shares = [operator.b * inverse[axis] * slopes[axis] for axis in range(ndim)]
        return ops.stack(
            [steps[axis] * (scaled[axis] - shares[axis] * along_slope) for axis in range(ndim)]
        )

    return from_spectrum(*map(solved, spectrum(momentum, ndim)), shape)


def _first(values: Any) -> Any:
    """``(batch, *spatial, ndim)`` to ``(ndim, batch, *spatial)``."""
    return ops.moveaxis(values, -1, 0)


def _last(components: Any) -> Any:
    return ops.moveaxis(components, 0, -1)
