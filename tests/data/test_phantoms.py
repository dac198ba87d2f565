"""What test_data.py does not ask of the phantoms: that the truth solves its equation."""

import numpy as np
import pytest

from tfreg.data import phantoms


def template_position(phantom, index, x):
    """``x + a_i(x)`` from the published parameters, written independently of the module."""
    half = 13.5
    affine, waves = phantom.affine[index], phantom.waves[index]
    out = x + np.einsum("ij,...j->...i", affine[:, :2], x - half) + affine[:, 2]
    for wave in waves:
        for component, (amplitude, row, column, phase) in enumerate(wave):
            angle = 2 * np.pi * (row * x[..., 0] + column * x[..., 1]) / 28 + phase
            out[..., component] += amplitude * np.sin(angle)
    return out


@pytest.mark.parametrize("digit", [0, 4, 7])
def test_truth_solves_the_equation(digit):
    phantom = phantoms.digits(6, seed=digit, which=[digit])
    x = np.moveaxis(np.indices((28, 28), dtype="float64"), 0, -1)
    for fixed, moving in ((0, 1), (3, 5)):
        y = x + phantom.displacement(fixed, moving)
        np.testing.assert_allclose(
            template_position(phantom, moving, y), template_position(phantom, fixed, x), atol=1e-6
        )


def test_an_image_corresponds_to_itself_at_zero():
    truth = phantoms.digits(2, seed=0, which=[5]).displacement(1, 1)
    np.testing.assert_allclose(truth, 0, atol=1e-8)


def test_layout():
    phantom = phantoms.digits(7, seed=0, which=[3, 8])
    assert phantom.images.shape == (7, 28, 28) and phantom.images.dtype == np.uint8
    assert phantom.labels.tolist() == [3, 8, 3, 8, 3, 8, 3]
