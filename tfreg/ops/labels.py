"""Warping of label images: the result holds labels of the input and nothing between them."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfreg.ops.resample import resample

METHODS = ("nearest", "linear")


def resample_labels(
    labels: Any,
    displacement: Any,
    method: str = "nearest",
    classes: Sequence[int] | None = None,
    mode: str = "border",
    fill_value: int = 0,
) -> Any:
    """Warps a label image: ``moved(x) = labels(x + displacement(x))``, a label everywhere.

    ``"nearest"`` takes the label of the nearest voxel. ``"linear"`` interpolates the indicator of
    every class and takes the class of the largest: ``argmax_k sum_i w_i(x) [labels_i = k]``, whose
    borders are smooth where those of nearest are jagged.

    Args:
        labels: integer tensor ``(batch, *spatial, 1)``, 2-D or 3-D.
        displacement: tensor ``(batch, *output_spatial, ndim)`` in voxels, array-axis order.
        method: ``"nearest"`` or ``"linear"``.
        classes: the labels that may occur, for ``method="linear"`` only; where two are equally
            strong, the one listed first wins. A voxel of a label that is not listed counts for
            none.
        mode: ``"border"`` or ``"constant"``, as in :func:`tfreg.ops.resample`.
        fill_value: label outside the image when ``mode="constant"``.

    Returns:
        Tensor ``(batch, *output_spatial, 1)`` in the dtype of ``labels``; no gradient flows.

    Raises:
        ValueError: on labels that are no integers, an unknown method, or classes without effect.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> labels = np.array([[[0, 0, 7, 7]] * 2], "int32")[..., None]
    >>> shift = np.zeros((1, 2, 4, 2), "float32")
    >>> shift[..., 1] = 0.6
    >>> [int(v) for v in ops.resample_labels(labels, shift, "linear", classes=(0, 7))[0, 0, :, 0]]
    [0, 7, 7, 7]
    """
    labels = ops.convert_to_tensor(labels)
    dtype = keras.backend.standardize_dtype(labels.dtype)
    if "int" not in dtype or labels.shape[-1] != 1:
        raise ValueError(
            "labels must be integers (batch, *spatial, 1). "
            f"Received: dtype={dtype}, labels.shape={tuple(labels.shape)}"
        )
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}. Received: method={method}")
    if method == "nearest":
        if classes is not None:
            raise ValueError(
                f'classes has no effect with method="nearest". Received: classes={classes}'
            )
        return resample(labels, displacement, "nearest", mode, fill_value)
    if not classes:
        raise ValueError(f'method="linear" needs the classes. Received: classes={classes}')
    classes = tuple(int(c) for c in classes)
    if mode == "constant" and fill_value not in classes:
        raise ValueError(
            f"fill_value must be one of the classes {classes}. Received: fill_value={fill_value}"
        )
    # One class after the other: the memory of all indicators at once would grow with their number.
    best = winner = None
    for label in classes:
        indicator = ops.cast(ops.equal(labels, ops.cast(label, dtype)), "float32")
        outside = {"fill_value": float(label == fill_value)} if mode == "constant" else {}
        strength = resample(indicator, displacement, "linear", mode, **outside)
        if best is None:
            best, winner = strength, ops.full_like(ops.cast(strength, dtype), label)
            continue
        stronger = strength > best
        winner = ops.where(stronger, ops.cast(label, dtype), winner)
        best = ops.where(stronger, strength, best)
    return winner
