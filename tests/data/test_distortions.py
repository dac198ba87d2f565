import numpy as np
import pytest
from scipy import ndimage

from tfreg.data.distortions import CANVAS, KINDS, apply_maps, bending, distort, draw_maps
from tfreg.errors import InputError

COUNT = 4000


def drawn(kind, count=COUNT):
    return draw_maps(kind, count, np.random.default_rng(1))


def positions(maps, size):
    """Point by point, as the module's first lines have it: ``H (x + T b)``."""
    x = np.moveaxis(np.indices((size, size)), 0, -1).reshape(-1, 2).astype(float)
    found = []
    for k, matrix in enumerate(maps.matrix):
        moved = x if maps.bend is None else x + bending(size) @ maps.bend[k]
        y = np.column_stack([moved, np.ones(len(x))]) @ matrix.T
        found.append(np.where(y[:, 2:] > 1e-6, y[:, :2] / y[:, 2:], -5.0))
    return np.array(found)


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_looked_up_where_the_maps_lead(rng, kind):
    """SciPy's linear interpolation, zeros beyond the border."""
    images = rng.integers(256, size=(5, 28, 28)).astype("uint8")
    maps, size = drawn(kind, 5), CANVAS[kind]
    expected = [
        ndimage.map_coordinates(image.astype(float), where.T, order=1, mode="grid-constant")
        for image, where in zip(images, positions(maps, size), strict=True)
    ]
    found = apply_maps(images, maps, size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.reshape(5, -1), expected, atol=0.05)
    again = distort(images, kind, np.random.default_rng(1))
    np.testing.assert_array_equal(again, found)


def test_rotations_are_about_the_middle():
    maps = drawn("r")
    linear = maps.matrix[:, :2, :2]
    product = linear @ np.swapaxes(linear, 1, 2)
    np.testing.assert_allclose(product - np.eye(2), 0, atol=1e-12)
    middle = maps.matrix @ [13.5, 13.5, 1]
    np.testing.assert_allclose(middle, [[13.5, 13.5, 1]] * COUNT)
    angle = np.degrees(np.arctan2(linear[:, 0, 1], linear[:, 0, 0]))
    assert -90 <= angle.min() < -89 and 89 < angle.max() <= 90 and abs(angle.mean()) < 3


def test_scaled_frames_stay_on_the_canvas():
    forward = np.linalg.inv(drawn("rts").matrix)
    scale = np.sqrt(np.linalg.det(forward[:, :2, :2]))
    assert 0.7 <= scale.min() < 0.71 and 1.19 < scale.max() <= 1.2
    angle = np.degrees(np.arctan2(forward[:, 0, 1], forward[:, 0, 0]))
    assert -45 <= angle.min() < -44 and 44 < angle.max() <= 45
    place = (forward @ [13.5, 13.5, 1])[:, :2] - 20.5
    room = (42 - 28 * scale[:, None]) / 2
    assert (np.abs(place) <= room + 1e-9).all() and (np.abs(place) / room).max() > 0.99


def test_corners_are_pulled_along_their_diagonals():
    forward = np.linalg.inv(drawn("p").matrix)
    frame = np.array([[0, 0], [0, 27], [27, 27], [27, 0]])
    corners = np.einsum("nij,kj->nki", forward, np.column_stack([frame, np.ones(4)]))
    assert (corners[..., 2] > 0).all()  # seen from in front
    corners = corners[..., :2] / corners[..., 2:] - 13.5
    pull = np.abs(corners).mean(axis=2) * np.sqrt(2)
    outwards = corners * np.sign(frame - 13.5)
    np.testing.assert_allclose(outwards[..., 0], outwards[..., 1], atol=1e-6)
    assert pull.mean() == pytest.approx(0.875 * 13.5 * np.sqrt(2), abs=0.3)
    assert pull.std() == pytest.approx(5.1, abs=0.3)  # and that of the scale


def test_points_of_a_grid_are_moved():
    maps = drawn("e")
    assert maps.bend.shape == (COUNT, 16, 2)
    assert maps.bend.std() == pytest.approx(1.5, rel=0.01) and abs(maps.bend.mean()) < 0.02
    scale = 1 / maps.matrix[:, 0, 0]
    assert 0.75 <= scale.min() < 0.76 and 0.99 < scale.max() <= 1
    np.testing.assert_allclose(maps.matrix @ [13.5, 13.5, 1], [[13.5, 13.5, 1]] * COUNT)
    corners = bending(28)[[0, 27, -28, -1]]
    np.testing.assert_allclose(corners, np.eye(16)[[0, 3, 12, 15]], atol=1e-9)


def test_an_unknown_distortion_is_refused():
    with pytest.raises(InputError, match=r"one of .*Received: s"):
        draw_maps("s", 1, np.random.default_rng(0))
