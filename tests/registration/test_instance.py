import numpy as np
import pytest

from tfreg.registration import Level, Pyramid, register


@pytest.fixture(scope="module")
def blobs():
    """A smooth asymmetric volume on anisotropic voxels, as a function of positions."""
    rng = np.random.default_rng(3)
    shape = np.array([18, 32, 28])
    centres, widths = shape * rng.uniform(0.25, 0.75, (12, 3)), rng.uniform(1.5, 2.5, 12)

    def image(points):
        scaled = points * [2.0, 1.0, 1.0]
        total = np.zeros(points.shape[:-1])
        for centre, width in zip(centres * [2.0, 1.0, 1.0], widths, strict=True):
            total += width * np.exp(-((scaled - centre) ** 2).sum(axis=-1) / (2 * width**2))
        return total

    return image, np.moveaxis(np.indices(shape), 0, -1).astype(float)


@pytest.mark.parametrize(
    "kind",
    [
        *(pytest.param(kind, marks=pytest.mark.long) for kind in ("translation", "similarity")),
        "rigid",
        pytest.param("affine", marks=pytest.mark.on_jax),
    ],
)
def test_a_linear_map_in_3d_is_found(blobs, kind):
    image, grid = blobs
    angle, scale = (0.12, 1.05) if kind != "translation" else (0.0, 1.0)
    matrix = np.eye(3)
    matrix[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    if kind in ("similarity", "affine"):
        matrix = matrix * scale
    if kind == "affine":
        matrix[1, 2] += 0.1
    centre = (np.array(grid.shape[:3]) - 1) / 2
    truth = (grid - centre) @ matrix.T + centre + [0.7, -1.5, 2.2] - grid
    # moving(x + u(x)) = fixed(x): the fixed image is the blobs seen through the map.
    answer = register(image(grid + truth), image(grid), kind, spacing=(2.0, 1.0, 1.0))
    middle = (slice(3, -3),) * 3
    assert np.abs(answer.displacement - truth)[middle].max() < 0.2
    assert answer.similarity_after > 0.99 and answer.accepted


@pytest.mark.parametrize(
    "kind", ["bspline", "dense", pytest.param("velocity", marks=pytest.mark.long)]
)
def test_a_beating_heart_is_followed(hearts, kind):
    setting = "fast" if kind == "velocity" else "default"
    answer = register(hearts.fixed, hearts.moving, kind, pyramid=setting, ndim=2)
    before = np.linalg.norm(hearts.fixed_points - hearts.moving_points, axis=-1).mean()
    error = np.linalg.norm(answer.warp_points(hearts.fixed_points) - hearts.moving_points, axis=-1)
    assert before > 1.5 and error.mean() < 0.6 * before
    assert (answer.similarity_after > answer.similarity_before + 0.02).all()
    assert answer.check().folding < 1


@pytest.mark.long
def test_sequences_add_up(blobs):
    image, grid = blobs
    truth = np.broadcast_to([0.5, 3.0, -4.0], grid.shape).copy()
    truth[..., 1] += np.sin(grid[..., 2] / 5)
    fixed, moving = image(grid + truth), image(grid)
    affine = register(fixed, moving, "affine", spacing=(2.0, 1.0, 1.0))
    both = register(fixed, moving, ["affine", "bspline"], spacing=(2.0, 1.0, 1.0))
    assert both.similarity_after > affine.similarity_after > 0.9
    assert both.similarity_before == pytest.approx(affine.similarity_before, abs=1e-5)
    assert {level.transform for level in both.levels} == {"affine", "bspline"}
    after = register(fixed, moving, "bspline", spacing=(2.0, 1.0, 1.0), start=affine)
    np.testing.assert_allclose(after.displacement, both.displacement, atol=0.05)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("lncc", lambda image: 2 * image + 3),
        ("mse", lambda image: image),
        ("mi", lambda image: 1 - image**2),
        ("ngf", lambda image: 1 - image),
    ],
)
def test_every_similarity(hearts, name, change, one_level):
    moving = change(hearts.moving[0])
    answer = register(hearts.fixed[0], moving, pyramid=one_level, similarity=name)
    error = answer.warp_points(hearts.fixed_points[0]) - hearts.moving_points[0]
    before = np.linalg.norm(hearts.fixed_points[0] - hearts.moving_points[0], axis=-1).mean()
    assert np.linalg.norm(error, axis=-1).mean() < 0.75 * before
    assert answer.similarity == name and answer.similarity_after > answer.similarity_before


def test_images_of_different_size(hearts, one_level):
    answer = register(hearts.fixed[0][:50], hearts.moving[0], pyramid=one_level)
    assert answer.displacement.shape == (50, 64, 2) and answer.moved.shape == (50, 64)
    assert answer.similarity_after > answer.similarity_before + 0.02


def test_where_the_similarity_got_worse_the_start_is_returned(rng):
    noise = rng.random((2, 12, 32, 32)).astype("float32")
    coarse = Pyramid((Level(shrink=4, grid_spacing=8, steps=30, weight=0.0),))
    answer = register(*noise, pyramid=coarse, ndim=2)
    assert 0 < answer.accepted.sum() < 12
    assert (answer.similarity_after >= answer.similarity_before).all()
    assert (answer.displacement[~answer.accepted] == 0).all()
    assert "left out" in str(answer.check())
