"""Colours as light and two differences of colour, and back."""

import numpy as np

# Rows: Y, U and V of red, green and blue; Y as in Rec. 601.
YUV = np.array([[0.299, 0.587, 0.114], [-0.147, -0.289, 0.436], [0.615, -0.515, -0.100]])


def rgb_to_yuv(colours: np.ndarray) -> np.ndarray:
    """Light and differences of colour.

    Args:
        colours: ``(..., 3)``: red, green and blue in [0, 1].

    Returns:
        ``(..., 3)`` float64: Y in [0, 1], U and V about 0.

    Example:

    >>> import numpy as np
    >>> from tfreg.colour import rgb_to_yuv, yuv_to_rgb
    >>> yuv = rgb_to_yuv(np.array([1.0, 0.5, 0.0]))
    >>> yuv.round(4).tolist(), yuv_to_rgb(yuv).round(4).tolist()
    ([0.5925, -0.2915, 0.3575], [1.0, 0.5, 0.0])
    """
    return np.asarray(colours, "float64") @ YUV.T


def yuv_to_rgb(values: np.ndarray) -> np.ndarray:
    """The inverse of :func:`rgb_to_yuv`; a light that was changed may give colours beyond [0, 1].

    Args:
        values: ``(..., 3)``.

    Returns:
        ``(..., 3)`` float64: red, green and blue.

    Example:

    >>> import numpy as np
    >>> from tfreg.colour import yuv_to_rgb
    >>> yuv_to_rgb(np.array([0.5, 0.0, 0.0])).round(6).tolist()
    [0.5, 0.5, 0.5]
    """
    return np.asarray(values, "float64") @ np.linalg.inv(YUV).T
