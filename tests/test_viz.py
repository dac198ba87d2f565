import numpy as np
import pytest

from tfreg import viz
from tfreg.registration import Registration


def answer(shape=(12, 16), displacement=None):
    rng = np.random.default_rng(0)
    fixed, moving, moved = rng.random((3, *shape)).astype("float32")
    if displacement is None:
        displacement = np.zeros((*shape, len(shape)), "float32")
    return Registration(fixed, moving, moved, displacement, 0.25, 0.75, 0.1)


def test_figure_has_six_panels_and_the_numbers(tmp_path):
    figure = viz.registration_figure(answer())
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:3] == ["fixed", "moving", "moved"]
    assert "0.250" in titles[3] and "0.750" in titles[4] and "folded 0.0 %" in titles[5]
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_the_grid_is_drawn_where_it_comes_to_lie():
    displacement = np.zeros((12, 16, 2), "float32")
    displacement[..., 0], displacement[..., 1] = 2, -3  # down the rows, back along the columns
    line = viz.registration_figure(answer(displacement=displacement)).axes[5].lines[0]
    np.testing.assert_array_equal(line.get_xdata(), np.arange(16) - 3)
    np.testing.assert_array_equal(line.get_ydata(), np.full(16, 2))


def test_folding_is_reported():
    displacement = np.zeros((12, 16, 2), "float32")
    displacement[..., 1] = -2 * np.arange(16)  # x -> -x
    title = viz.registration_figure(answer(displacement=displacement)).axes[5].get_title()
    assert "folded 100.0 %" in title


def test_constant_images_are_drawn(recwarn):
    zero = np.zeros((12, 16), "float32")
    registration = Registration(zero, zero, zero, np.zeros((12, 16, 2)), 0.0, 0.0, 0.1)
    viz.registration_figure(registration).canvas.draw()
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


@pytest.mark.parametrize("shape", [(3, 12, 16), (3, 6, 12, 16)])
def test_a_batch_is_refused(shape):
    displacement = np.zeros((*shape, len(shape) - 1), "float32")
    with pytest.raises(ValueError, match=r"single pair.*Received"):
        viz.registration_figure(answer(shape, displacement))


def test_the_middle_slice_of_a_volume_is_shown():
    displacement = np.zeros((5, 12, 16, 3), "float32")
    displacement[..., 0] = 9  # across the slices, which the grid does not show
    displacement[2, ..., 1], displacement[2, ..., 2] = 2, -3
    registration = answer((5, 12, 16), displacement)
    axes = viz.registration_figure(registration).axes
    for axis, volume in zip(axes, (registration.fixed, registration.moving), strict=False):
        shown = np.asarray(axis.images[0].get_array())
        expected = volume[2] - volume[2].min()
        np.testing.assert_allclose(shown, expected / expected.max(), atol=1e-6)
    np.testing.assert_array_equal(axes[5].lines[0].get_xdata(), np.arange(16) - 3)
    np.testing.assert_array_equal(axes[5].lines[0].get_ydata(), np.full(16, 2))


def test_no_figure_is_left_open():
    """One made by pyplot would be kept alive, and shown, by its registry."""
    from matplotlib import pyplot

    viz.registration_figure(answer())
    assert pyplot.get_fignums() == []
