"""Correlation of two images as a sum of squares, and its normal equations.

Images ``f`` of zero mean and unit norm, ``n = (f - mean f) / |f - mean f|``, differ by
``|n - t|^2 = 2 - 2 NCC``. With the derivative ``f_k`` of ``f`` by parameter k, less its mean,

    dn/dp_k = (f_k - n (n . f_k)) / |f - mean f|,

so that Gauss and Newton's step needs no more than sums of products. Gradient correlation is the
mean NCC of the two derivative images, which are taken by Sobel's filters.

Reference:
    G. P. Penney et al., A comparison of similarity measures for use in 2-D-3-D medical image
    registration, IEEE Transactions on Medical Imaging 17(4), 1998.
"""

from typing import Any

from keras import ops

SIMILARITIES = ("gc", "ncc")
_FLAT = 1e-12  # mean square below which an image has nothing to compare


def features(images: Any, similarity: str) -> list[Any]:
    """What of images is correlated.

    Args:
        images: tensor ``(..., rows, columns)``.
        similarity: ``"gc"``: Sobel's derivatives, without the outermost pixels; ``"ncc"``: the
            images.

    Returns:
        A list of tensors ``(..., pixels)``.
    """
    if similarity == "gc":
        down = _smoothed(images[..., 2:, :] - images[..., :-2, :], -1)
        across = images[..., 2:] - images[..., :-2]
        return [_flat(down), _flat(_smoothed(across, -2))]
    return [_flat(images)]


def inner(mask: Any, similarity: str) -> Any:
    """A mask ``(batch, rows, columns)`` as weights ``(batch, pixels)`` of the features."""
    if similarity == "gc":  # what touches a pixel outside of the mask does not count
        mask = ops.minimum(ops.minimum(mask[:, :-2], mask[:, 1:-1]), mask[:, 2:])
        mask = ops.minimum(ops.minimum(mask[..., :-2], mask[..., 1:-1]), mask[..., 2:])
    return _flat(mask)


def standardised(values: Any, weights: Any) -> tuple[Any, Any]:
    """Values ``(batch, pixels)`` of zero weighted mean and unit norm, and the norm that they had.

    Those that do not vary become 0, of norm infinity.
    """
    total = ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1e-6)
    values = values - ops.sum(weights * values, axis=1, keepdims=True) / total
    square = ops.sum(weights * values * values, axis=1, keepdims=True)
    varies = square > _FLAT * total
    norm = ops.where(varies, ops.sqrt(ops.where(varies, square, 1.0)), float("inf"))
    return values / norm, norm


def normal_equations(
    image: Any, columns: Any, target: list[Any], weights: Any, similarity: str
) -> tuple[Any, Any, Any]:
    """Of ``sum |n - t|^2 / (2 F)`` over the F features: ``1 -`` mean NCC.

    Args:
        image: tensor ``(batch, rows, columns)``.
        columns: tensor ``(batch, parameters, rows, columns)``, its derivatives.
        target: features of the other image, :func:`standardised`.
        weights: ``(batch, pixels)``, of :func:`inner`.
        similarity: as in :func:`features`.

    Returns:
        Three tensors: the value ``(batch,)``, Gauss and Newton's matrix
        ``(batch, parameters, parameters)``, and the gradient ``(batch, parameters)``.
    """
    count = len(target)
    value, matrix, gradient = 0.0, 0.0, 0.0
    parts = zip(features(image, similarity), features(columns, similarity), target, strict=True)
    total = ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1e-6)[..., None]
    for own, change, other in parts:
        own, norm = standardised(own, weights)
        share = weights[:, None, :]
        change = change - ops.sum(share * change, axis=2, keepdims=True) / total
        weighted = share * change
        along = ops.sum(weighted * own[:, None], axis=2)
        agreement = ops.sum(weights * own * other, axis=1)
        both = ops.matmul(weighted, ops.transpose(change, (0, 2, 1)))
        both = both - along[:, :, None] * along[:, None, :]
        towards = ops.sum(weighted * other[:, None], axis=2) - along * agreement[:, None]
        value = value + (1 - agreement) / count
        matrix = matrix + both / (norm * norm)[..., None] / count
        gradient = gradient - towards / norm / count
    return value, matrix, gradient


def _smoothed(images: Any, axis: int) -> Any:
    low, middle, high = (
        (images[..., k, :] if axis == -2 else images[..., k])
        for k in (slice(None, -2), slice(1, -1), slice(2, None))
    )
    return low + 2 * middle + high


def _flat(images: Any) -> Any:
    *before, rows, columns = images.shape
    return ops.reshape(images, (*(-1 if n is None else n for n in before), rows * columns))
