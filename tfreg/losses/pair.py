"""What every similarity does with its arguments first."""

from typing import Any

from keras import ops

from tfreg.ops.precision import at_least_float32


def prepare(fixed: Any, moved: Any, mask: Any) -> tuple[Any, Any, Any]:
    """Checks the shapes, brings all to one dtype and clears the images where the mask is zero.

    Args:
        fixed: tensor ``(batch, *spatial, channels)``, 2-D or 3-D.
        moved: tensor of the same shape.
        mask: tensor ``(batch, *spatial, 1)`` of weights >= 0, or ``None``.

    Returns:
        The tensors fixed, moved and mask, in float64 if one of the images is, else in float32.

    Raises:
        ValueError: if the shapes do not fit.
    """
    fixed, moved = at_least_float32(fixed), at_least_float32(moved)
    if len(fixed.shape) not in (4, 5):
        raise ValueError(
            "fixed must be (batch, *spatial, channels), 2-D or 3-D. "
            f"Received: fixed.shape={tuple(fixed.shape)}"
        )
    if not _agree(fixed.shape, moved.shape):
        raise ValueError(
            "fixed and moved must have the same shape. "
            f"Received: fixed.shape={tuple(fixed.shape)}, moved.shape={tuple(moved.shape)}"
        )
    if fixed.dtype != moved.dtype:
        fixed, moved = ops.cast(fixed, "float64"), ops.cast(moved, "float64")
    if mask is None:
        return fixed, moved, None
    mask = ops.cast(ops.convert_to_tensor(mask), fixed.dtype)
    if not _agree(mask.shape, (*fixed.shape[:-1], 1)):
        raise ValueError(
            "mask must be (batch, *spatial, 1), of the batch and the spatial shape of the images. "
            f"Received: mask.shape={tuple(mask.shape)}, fixed.shape={tuple(fixed.shape)}"
        )
    inside = mask > 0
    # Not a product with the mask: it would let through what is not finite.
    fixed, moved = (ops.where(inside, v, ops.zeros_like(v)) for v in (fixed, moved))
    return fixed, moved, mask


def _agree(one: Any, other: Any) -> bool:
    """Whether two static shapes can be equal; sizes not known yet fit any."""
    return len(one) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(one, other, strict=True)
    )
