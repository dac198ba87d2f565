import numpy as np
import pytest

from tfreg import ops
from tfreg.registration import Level, Pyramid, Registration, register


def test_check_names_what_is_wrong():
    y, x = np.mgrid[:32, :32].astype("float32")
    image = np.exp(-((y - 15) ** 2 + (x - 15) ** 2) / 40)
    field = np.zeros((32, 32, 2), "float32")
    field[..., 1] = -2 * (x - 15)  # mirrors
    nothing = Pyramid((Level(grid_spacing=8, steps=0),))
    check = register(image, image, pyramid=nothing, start=field).check()
    assert check.folding == pytest.approx(100) and check.jacobian_min == pytest.approx(-1)
    assert any("folds" in problem for problem in check.problems)
    field[..., 1] = 14
    check = register(image, image, pyramid=nothing, start=field).check()
    assert check.outside == pytest.approx(100 * 14 / 32, abs=0.1) and check.folding == 0
    assert any("outside" in problem for problem in check.problems)


def test_a_similarity_that_got_worse_is_a_problem():
    image = np.arange(16.0).reshape(4, 4)
    still = np.zeros((4, 4, 2), "float32")
    for after, worse in ((0.4, True), (0.8999, False), (0.95, False)):
        check = Registration(image, image, image, still, 0.9, after, 0.0).check()
        assert ("the similarity got worse" in check.problems) == worse


def test_moved_is_the_moving_image_seen_through_the_displacement(hearts, numpy, one_level):
    answer = register(hearts.fixed[0], hearts.moving[0], pyramid=one_level)
    moved = numpy(ops.resample(hearts.moving[:1, ..., None], answer.displacement[None]))
    np.testing.assert_allclose(answer.moved, moved[0, ..., 0], atol=1e-5)


@pytest.mark.parametrize(("scale", "said"), [(0.6, True), (0.8, False), (1.5, True)])
def test_a_map_that_halves_or_doubles_the_volume_is_named(scale, said):
    places = np.moveaxis(np.indices((12, 20)), 0, -1).astype("float32")
    check = Registration(
        *[places[..., 1]] * 3, (places - [5, 9]) * (scale - 1), 0.8, 0.9, 0.0
    ).check()
    assert check.volume == pytest.approx(scale**2, rel=1e-4)
    changed = f"the map changes the volume by a factor of {scale**2:.2g}"
    assert (changed in check.problems) == said


@pytest.mark.long
def test_a_stage_that_made_it_worse_is_named_and_so_is_a_linear_map_that_leaves_much(rng):
    noise = rng.random((2, 3, 32, 32)).astype("float32")
    wild = Pyramid((Level(shrink=4, steps=4, learning_rate=3.0),))
    answer = register(*noise, ["affine", "translation"], pyramid=wild, ndim=2)
    affine, translation = answer.stages
    assert (affine.transform, translation.transform) == ("affine", "translation")
    assert not affine.accepted.all()
    np.testing.assert_array_equal(affine.accepted & translation.accepted, answer.accepted)
    problems = answer.check().problems
    assert "the affine stage made it worse and was left out" in problems
    assert any("a linear transform leaves the images unlike" in line for line in problems)
    one = int(np.argmin(affine.accepted))
    assert answer.item(one).check().left_out[0] == "affine"
