"""Scenes with digits in them: a digit among clutter, and two digits to be added."""

from typing import NamedTuple

import numpy as np

from tfreg.data.distortions import SIZE, distort

CLUTTERED = 60
DISTRACTORS, PATCH = 6, 6


class Places(NamedTuple):
    """Where everything is in cluttered scenes, in pixels, array-axis order.

    Attributes:
        digit: ``(n, 2)``: first pixel of the digit's image on the canvas.
        source: ``(n, 6)``: index of the image that each distractor is cut from.
        cut: ``(n, 6, 2)``: first pixel of each distractor in that image.
        paste: ``(n, 6, 2)``: its first pixel on the canvas.
    """

    digit: np.ndarray
    source: np.ndarray
    cut: np.ndarray
    paste: np.ndarray


def draw_places(count: int, sources: int, rng: np.random.Generator) -> Places:
    """Random places on a canvas of 60x60, all equally likely.

    Args:
        count: number of scenes.
        sources: number of images that distractors are cut from.
        rng: source of the numbers.

    Returns:
        The places, int64.

    Example:

    >>> import numpy as np
    >>> from tfreg.data.scenes import draw_places
    >>> draw_places(3, 100, np.random.default_rng(0)).paste.shape
    (3, 6, 2)
    """
    patches = (count, DISTRACTORS)
    return Places(
        rng.integers(CLUTTERED - SIZE + 1, size=(count, 2)),
        rng.integers(sources, size=patches),
        rng.integers(SIZE - PATCH + 1, size=(*patches, 2)),
        rng.integers(CLUTTERED - PATCH + 1, size=(*patches, 2)),
    )


def cluttered(images: np.ndarray, sources: np.ndarray, places: Places) -> np.ndarray:
    """Digits on black, six 6x6 pieces of other digits scattered over each; the brighter is seen.

    Args:
        images: ``(n, 28, 28)``: the digits.
        sources: ``(m, 28, 28)``: images that the distractors are cut from.
        places: of :func:`draw_places`.

    Returns:
        float32 array ``(n, 60, 60)``, in the range of ``images``.

    Example:

    >>> import numpy as np
    >>> from tfreg.data.scenes import cluttered, draw_places
    >>> digits = np.ones((3, 28, 28))
    >>> cluttered(digits, digits, draw_places(3, 3, np.random.default_rng(0))).shape
    (3, 60, 60)

    Reference:
        Mnih et al., Recurrent models of visual attention, NIPS 2014; Jaderberg et al., Spatial
        transformer networks, NIPS 2015.
    """
    canvas = np.zeros((len(images), CLUTTERED, CLUTTERED), "float32")
    item = np.arange(len(images))[:, None, None]
    row, column = np.ogrid[:SIZE, :SIZE]
    top, left = places.digit[:, :, None, None].swapaxes(0, 1)
    canvas[item, top + row, left + column] = images
    row, column = np.ogrid[:PATCH, :PATCH]
    for k in range(DISTRACTORS):
        top, left = places.cut[:, k, :, None, None].swapaxes(0, 1)
        piece = sources[places.source[:, k, None, None], top + row, left + column]
        top, left = places.paste[:, k, :, None, None].swapaxes(0, 1)
        where = item, top + row, left + column
        canvas[where] = np.maximum(canvas[where], piece)
    return canvas


def addition(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two digits to be added, each distorted by rotation, scale and place on its own.

    Args:
        first, second: ``(n, 28, 28)``: the digits.
        rng: source of the numbers.

    Returns:
        float32 array ``(n, 42, 42, 2)``, in the range of the images.

    Example:

    >>> import numpy as np
    >>> from tfreg.data.scenes import addition
    >>> addition(np.ones((3, 28, 28)), np.ones((3, 28, 28)), np.random.default_rng(0)).shape
    (3, 42, 42, 2)
    """
    return np.stack([distort(images, "rts", rng) for images in (first, second)], axis=-1)
