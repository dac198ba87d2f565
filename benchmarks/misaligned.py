"""Images that are not aligned, by a map that is known: a shift, a rotation and a warp."""

import numpy as np

SHIFT, ANGLE, WARP, SMOOTH = 10.0, 10.0, 4.0, 24.0  # px, degrees, px, px


def misalignment(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A displacement ``(rows, columns, 2)`` in px: shift, rotation about the middle, and a warp.

    Args:
        shape: rows and columns.
        rng: source of directions and of the warp.
    """
    from scipy import ndimage

    x = np.moveaxis(np.indices(shape), 0, -1) - (np.array(shape) - 1) / 2
    towards = rng.uniform(0, 2 * np.pi)
    turn = np.deg2rad(ANGLE) * rng.choice([-1, 1])
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    noise = ndimage.gaussian_filter(rng.normal(size=(*shape, 2)), (SMOOTH, SMOOTH, 0))
    warp = WARP * noise / np.hypot(noise[..., 0], noise[..., 1]).max()
    return x @ matrix.T - x + SHIFT * np.array([np.sin(towards), np.cos(towards)]) + warp


def displaced(image: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """``image(x + u(x))`` of 8 bits, dark outside."""
    from scipy import ndimage

    places = np.moveaxis(displacement, -1, 0) + np.indices(image.shape[:2])
    channels = image[..., None] if image.ndim == 2 else image
    found = [
        ndimage.map_coordinates(channels[..., c].astype("float64"), places, order=1)
        for c in range(channels.shape[-1])
    ]
    found = np.rint(np.stack(found, axis=-1)).astype("uint8")
    return found[..., 0] if image.ndim == 2 else found
