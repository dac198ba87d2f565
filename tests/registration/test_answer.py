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
