import numpy as np
import pytest
from keras import ops as keras_ops

from tfreg import ops
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import Level, Pyramid, register
from tfreg.registration.instance.field_of_view import View, enough, frames, shown
from tfreg.registration.instance.maps import Grid, LinearTransform


def _texture(rng, count=60, extent=60.0):
    """A smooth scene as a function of positions ``(..., 2)`` about the origin."""
    centres, widths = rng.uniform(-extent, extent, (count, 2)), rng.uniform(4, 8, count)
    heights = rng.uniform(-1, 1, count)

    def scene(points):
        total = np.full(points.shape[:-1], 3.0)
        for centre, width, height in zip(centres, widths, heights, strict=True):
            total += height * np.exp(-((points - centre) ** 2).sum(axis=-1) / (2 * width**2))
        return total

    return scene


def test_frames_of_padding_are_found_and_dark_backgrounds_are_not(rng):
    content = rng.random((9, 7, 8)) + 1
    padded = np.pad(content, ((2, 0), (0, 3), (4, 1)))
    assert frames(padded).tolist() == [[2, 0, 4], [10, 6, 11]]
    y, x = np.mgrid[:32, :40]
    disc = np.where((y - 14) ** 2 + (x - 20) ** 2 < 60, 1 + 0.1 * rng.random((32, 40)), 0)
    assert frames(disc).tolist() == [[0, 0], [31, 39]]
    square = np.zeros((20, 24))
    square[4:12, 6:15] = 1
    assert frames(square).tolist() == [[0, 0], [19, 23]]
    assert frames(np.ones((5, 6))).tolist() == [[0, 0], [4, 5]]


def test_what_is_shown_is_what_a_warped_mask_of_ones_says(rng):
    field = rng.uniform(-4, 4, (2, 9, 12, 2)).astype("float32")
    grid = Grid((9, 12), (1, 1), (1.0, 1.0))
    far = [[-1e6, -1e6], [1e6, 1e6]]
    bounds = np.array([[far, [[0, 0], [7, 9]]]] * 2, "float32")
    expected = ops.resample(np.ones((2, 8, 10, 1), "float32"), field, mode="constant")
    found = shown(bounds, field, grid)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # Bounds of the fixed image, seen on a level: its voxel 1 is at 2.5 of the full grid.
    bounds = np.array([[[[2, 1], [8, 3]], far]], "float32")
    coarse = shown(bounds, np.zeros((1, 5, 6, 2), "float32"), Grid((9, 12), (2, 2), (1.0, 1.0)))
    row, column = np.asarray(coarse)[0, :, :, 0].max(axis=1), np.asarray(coarse)[0, 1, :, 0]
    np.testing.assert_allclose(row, [0, 1, 1, 1, 0])
    np.testing.assert_allclose(column, [0, 1, 0, 0, 0, 0])
    assert np.asarray(enough(keras_ops.ones((2, 4, 4, 1)), np.array([1.0, 1.1]))).tolist() == [
        True,
        False,
    ]


def test_where_the_moving_image_covers_all_nothing_is_left_out(rng):
    images = {name: rng.random((1, 20, 24, 1)) for name in ("fixed", "moving")}
    view = View(images)
    assert view.at(None, False) == {} and view.at(None, True) == {}
    shift = np.zeros((1, 20, 24, 2), "float32")
    shift[..., 1] = 6
    found = view.at(shift, False)
    assert found["bounds"][0, 1].tolist() == [[0, 0], [19, 23]]
    assert found["least"][0] == pytest.approx(0.5 * 18 / 24, abs=0.02)
    assert View({**images, "moving_mask": np.ones((1, 20, 24, 1))}).at(shift, True) == {}


@pytest.mark.long
@pytest.mark.parametrize("overlap", [0.9, 0.65, pytest.param(0.4, marks=pytest.mark.on_jax)])
def test_beyond_the_moving_image_nothing_counts(rng, overlap):
    scene, size = _texture(rng), np.array([48, 56])
    shift = np.array([0.0, round((1 - overlap) * 56)])
    grid = np.moveaxis(np.indices(size), 0, -1) - (size - 1) / 2

    def moves(points):
        return np.stack([1.8 * np.sin(points[..., 1] / 14), 1.5 * np.cos(points[..., 0] / 12)], -1)

    def inverse(points):
        found = points
        for _ in range(30):
            found = points - moves(found)
        return found

    axes = np.eye(2).tolist()
    fixed, moving = (
        Image(values.astype("f4"), Geometry((56, 48), (1.0, 1.0), tuple(origin), axes))
        for values, origin in (
            (scene(grid), np.zeros(2)),
            (scene(inverse(grid + shift)), shift[::-1]),
        )
    )
    answer = register(fixed, moving)
    covered = register(fixed, moving, moving_mask=Image(np.ones((48, 56), "u1"), moving.geometry))
    inside = (slice(8, -8), slice(int(shift[1]) + 8, -8))
    truth = moves(grid)[..., ::-1]
    errors = [
        np.linalg.norm(found.displacement.field[inside] - truth[inside], axis=-1).mean()
        for found in (answer, covered)
    ]
    assert errors[0] < 0.5 * np.linalg.norm(truth[inside], axis=-1).mean()
    assert errors[0] == pytest.approx(errors[1], abs=0.02)
    assert answer.outside == pytest.approx(1 - overlap, abs=0.05)


def test_an_affine_map_aligns_what_is_shown_and_not_the_padding(rng):
    scene, grid = _texture(rng), np.moveaxis(np.indices((64, 60)), 0, -1) - [32.0, 30.0]
    truth = grid @ np.array([[0.06, 0.03], [-0.04, -0.05]]).T + [1.5, -2.0]
    fixed, moving = scene(grid + truth), scene(grid)
    fixed[:6], fixed[-4:], fixed[:, :5] = 0, 0, 0
    moving[:14], moving[:, -12:] = 0, 0
    answer = register(fixed, moving, "affine")
    middle = (slice(20, -20),) * 2
    assert np.linalg.norm(answer.displacement - truth, axis=-1)[middle].max() < 0.5
    assert answer.accepted and answer.similarity_after > 0.98


def test_shrinking_overlap_is_no_way_to_a_better_value(rng):
    noise = rng.random((2, 40, 44))
    far = np.array([[1.0, 0, 0], [0, 1, 22]])
    hasty = Pyramid((Level(steps=60, learning_rate=4.0, decay=1.0),))
    answer = register(*noise, "affine", pyramid=hasty, start=far)
    assert answer.check().outside < 75.5  # half of what is inside at the start, at least


def test_strain_is_that_of_the_shape_alone():
    transform = LinearTransform("similarity", Grid((20, 30, 24), (1, 1, 1), (2.0, 1.0, 1.0)))
    parameters = np.zeros((2, 7), "float32")
    parameters[0, :6] = 3.0
    parameters[1, 6] = 4.0
    turned, scaled = np.asarray(transform.strain(parameters))
    matrix = np.asarray(transform.matrix(parameters, transform.grid))[1, :, :3]
    assert turned == pytest.approx(0, abs=1e-6)
    assert scaled == pytest.approx(3 * (matrix[0, 0] ** 2 - 1) ** 2 / 4, rel=1e-3) and scaled > 0.01
