"""What the vector map minimises: equations (4) and (5), and in our scheme the NCC after that."""

from collections.abc import Callable
from typing import Any

from keras import ops as keras_ops

from tfreg import losses, ops
from tfreg.losses.means import mean
from tfreg.ops.precision import at_least_float32
from zoo.ssemnet.maps import dense
from zoo.ssemnet.scheme import Scheme
from zoo.ssemnet.similarity import averaged, distance


def of_features(encoded: Callable, factor: int, scheme: Scheme, spacing: int) -> Callable:
    """Equation (5), and (4) where there is one neighbour.

    Args:
        encoded: images to features.
        factor: px of a pixel of the features.
        scheme: its weights, interpolation and similarity.
        spacing: px between the control points.

    Returns:
        Function ``(vectors, drop, weights, references, moving, fixed_mask, moving_mask) ->
        (batch,)``: references are the features ``(batch, neighbours, height, width, code)`` of the
        neighbours, weights theirs.
    """

    def energy(
        vectors: Any,
        drop: Any,
        weights: Any,
        references: Any,
        moving: Any,
        fixed_mask: Any,
        moving_mask: Any,
    ) -> Any:
        displacement = dense(vectors, moving.shape[1:3], spacing, scheme.interpolation)
        moved = ops.resample(moving, displacement, image_gradient=False)
        found = at_least_float32(encoded(moved))
        mask = averaged(fixed_mask * filled(moving_mask, displacement), factor)
        total = 0.0
        for i in range(references.shape[1]):
            unlike = distance(references[:, i], found, mask, drop, scheme.similarity)
            total = total + weights[i] * unlike
        return total + regularisers(vectors, scheme, spacing)

    return energy


def of_intensities(scheme: Scheme, spacing: int) -> Callable:
    """-NCC where both show something, with the regularisers of equation (4).

    Args:
        scheme, spacing: of :func:`of_features`.

    Returns:
        Function ``(vectors, weights, fixed, moving, fixed_mask, moving_mask) -> (batch,)``: fixed
        are the neighbours ``(batch, height, width, neighbours)``, weights theirs.
    """

    def energy(
        vectors: Any, weights: Any, fixed: Any, moving: Any, fixed_mask: Any, moving_mask: Any
    ) -> Any:
        displacement = dense(vectors, moving.shape[1:3], spacing, scheme.interpolation)
        mask = fixed_mask * filled(moving_mask, displacement)
        moved = ops.resample(moving, displacement, image_gradient=False)
        total = regularisers(vectors, scheme, spacing)
        for i in range(fixed.shape[-1]):
            total = total - weights[i] * losses.ncc(fixed[..., i : i + 1], moved, mask)
        return total

    return energy


def regularisers(vectors: Any, scheme: Scheme, spacing: int) -> Any:
    """``alpha |v|^2 + beta |grad v_x|^2 + gamma |grad v_y|^2`` as means, v in units of cells."""
    cells = vectors / spacing
    total = scheme.alpha * 2 * mean(cells * cells)
    for component, weight in enumerate((scheme.gamma, scheme.beta)):  # y, then x
        total = total + weight * _roughness(cells[..., component])
    return total


def filled(moving_mask: Any, displacement: Any) -> Any:
    """The empty-space mask M: 1 where the moved image shows the moving one, 0 beyond it."""
    place = keras_ops.stop_gradient(displacement)
    return ops.resample(moving_mask, place, mode="constant", image_gradient=False)


def _roughness(values: Any) -> Any:
    """Mean square of the differences of neighbours along both axes; none along an axis of one."""
    total = 0.0
    for difference in (values[:, 1:] - values[:, :-1], values[:, :, 1:] - values[:, :, :-1]):
        if 0 not in difference.shape[1:]:
            total = total + mean(difference * difference)
    return total
