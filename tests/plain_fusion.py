"""Fusion written down once more in NumPy and SciPy: what the code is held against."""

import itertools

import numpy as np
from scipy import ndimage, signal

TAPS = np.array([1, 4, 6, 4, 1]) / 16


def reduced(image):
    """Filtered with a repeated border, then every other row and column."""
    for axis in (0, 1):
        image = ndimage.correlate1d(image, TAPS, axis, mode="reflect")
    return image[::2, ::2]


def expanded(image, shape):
    """Zeros between the pixels of a padded image, four times the filter, cropped."""
    padded = np.pad(image, 1, mode="edge")
    sparse = np.zeros((2 * padded.shape[0], 2 * padded.shape[1]))
    sparse[::2, ::2] = 4 * padded
    for axis in (0, 1):
        sparse = ndimage.correlate1d(sparse, TAPS, axis, mode="constant")
    return sparse[2:, 2:][: shape[0], : shape[1]]


def gaussian(image, levels):
    """A Gaussian pyramid."""
    found = [image]
    for _ in range(levels - 1):
        found.append(reduced(found[-1]))
    return found


def laplacian(image, levels):
    """A Laplacian pyramid."""
    blurred = gaussian(image, levels)
    fine = [a - expanded(b, a.shape) for a, b in itertools.pairwise(blurred)]
    return [*fine, blurred[-1]]


def summed(level):
    """3x3 sums of an image mirrored about its outermost pixels, with nothing beyond its corners."""
    rows, columns = level.shape
    wide = np.zeros((rows + 2, columns + 2))
    wide[1:-1, 1:-1] = level
    wide[1:-1, 0], wide[1:-1, -1] = level[:, 1], level[:, -2]
    wide[0, 1:-1], wide[-1, 1:-1] = level[1], level[-2]
    return signal.convolve2d(wide, np.ones((3, 3)), mode="valid")


def fused(first, second, weight, threshold=0.6):
    """Two images ``(rows, columns)`` in [0, 1] as one."""
    weights = gaussian(weight, levels_of(first))

    def mixed(a, b, level):
        return weights[level] * a + (1 - weights[level]) * b

    return fused_by(mixed, first, second, threshold)


def fused_by(mixed, first, second, threshold=0.6):
    """The same by a function of both and of their level, which mixes where they show the same."""
    parts = []
    pyramids = (laplacian(image, levels_of(image)) for image in (first, second))
    for level, (a, b) in enumerate(zip(*pyramids, strict=True)):
        one, other = summed(a * a), summed(b * b)
        match = 2 * summed(a * b) / (one + other + np.finfo(float).eps)
        chosen = np.where(one > other, a, b)
        parts.append(np.where(match > threshold, mixed(a, b, level), chosen))
    image = parts[-1]
    for part in reversed(parts[:-1]):
        image = part + expanded(image, part.shape)
    return image


def levels_of(image):
    """As many as there can be."""
    return int(np.floor(np.log2(min(image.shape))))


def convolved(maps, kernel, bias):
    """``same`` cross-correlation of ``(rows, columns, channels)`` with zeros around, and ReLU."""
    padded = np.pad(maps, [(1, 1), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    found = np.einsum("yxcij,ijck->yxk", windows, kernel, optimize=True)
    return np.maximum(found + bias, 0)


def pooled(maps):
    """The largest of 2x2, with zeros beyond an odd size."""
    rows, columns, channels = maps.shape
    maps = np.pad(maps, [(0, rows % 2), (0, columns % 2), (0, 0)])
    return maps.reshape(-(-rows // 2), 2, -(-columns // 2), 2, channels).max(axis=(1, 3))


def weight_map(first, second, kernels, biases, head):
    """The weight of the first image.

    Args:
        first, second: ``(rows, columns)`` in [0, 1].
        kernels, biases: of the three convolutions.
        head: ``(8, 8, features of both, 2)``.
    """
    features = []
    for image in (first, second):
        maps = convolved(image[..., None], kernels[0], biases[0])
        maps = pooled(convolved(maps, kernels[1], biases[1]))
        features.append(convolved(maps, kernels[2], biases[2]))
    both = np.concatenate(features, axis=-1)
    rows, columns = both.shape[0] - 7, both.shape[1] - 7
    total, count = np.zeros(first.shape), np.zeros(first.shape)
    for i in range(rows):
        for j in range(columns):
            scores = np.tensordot(both[i : i + 8, j : j + 8], head, 3)
            score = np.exp(scores[1]) / np.exp(scores).sum()
            patch = slice(2 * i, 2 * i + 16), slice(2 * j, 2 * j + 16)
            total[patch] += score
            count[patch] += 1
    return total / count


def as_bytes(image):
    """An image in [0, 1] as 8 bits."""
    return np.rint(255 * np.clip(image, 0, 1)).astype("uint8")
