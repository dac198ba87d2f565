import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_cases import CASES, SHAPES, count

from tfreg.ops.affine_parts import affine_matrix, decompose_affine, rotation_matrix
from tfreg.ops.linear_parameters import bounded_parameters, parameter_sizes


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mirror", [1, -1])
def test_decompose_inverts_affine_matrix(rng, numpy, shape, mirror):
    ndim = len(shape)
    plane = ndim * (ndim - 1) // 2
    scaling = rng.uniform(0.5, 2, (20, ndim))
    scaling[:, 0] *= mirror
    parts = [
        rng.normal(size=(20, ndim), scale=5),
        rng.uniform(-1.5, 1.5, (20, plane)),
        scaling,
        rng.uniform(-1, 1, (20, plane)),
    ]
    parts = [part.astype("float32") for part in parts]
    found = decompose_affine(affine_matrix(*parts, shape), shape)
    for name, part in zip(found._fields, parts, strict=True):
        np.testing.assert_allclose(numpy(getattr(found, name)), part, atol=2e-5, err_msg=name)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 3), st.integers(0, 2**32 - 1))
def test_any_matrix_is_the_product_of_its_parts(ndim, seed):
    shape = SHAPES[ndim - 2]
    matrix = np.random.default_rng(seed).uniform(-2, 2, (1, ndim, ndim + 1)).astype("float32")
    if abs(np.linalg.det(matrix[0, :, :ndim])) < 0.1:
        return
    parts = decompose_affine(matrix, shape)
    again = keras.ops.convert_to_numpy(affine_matrix(*parts, shape))
    np.testing.assert_allclose(again, matrix, atol=2e-4)
    rotation = keras.ops.convert_to_numpy(rotation_matrix(parts.rotation))[0]
    assert abs(np.linalg.det(rotation) - 1) < 1e-5


def test_decompose_at_the_lock_of_the_angles(numpy):
    angles = np.array([[0.4, np.pi / 2, 0.3]], "float32")
    matrix = affine_matrix(np.zeros((1, 3)), angles, np.ones((1, 3)), np.zeros((1, 3)), (4, 5, 6))
    parts = decompose_affine(matrix, (4, 5, 6))
    np.testing.assert_allclose(numpy(parts.rotation)[0], [0.7, np.pi / 2, 0], atol=1e-3)
    np.testing.assert_allclose(numpy(affine_matrix(*parts, (4, 5, 6))), numpy(matrix), atol=2e-6)


@pytest.mark.parametrize(("kind", "shape"), [c for c in CASES if c[0] != "translation"])
def test_bounds(rng, numpy, kind, shape):
    ndim, n = len(shape), count(kind, shape)
    zeros = np.zeros((1, n), "float32")
    np.testing.assert_array_equal(numpy(bounded_parameters(zeros, kind, ndim)), zeros)
    outputs = rng.normal(size=(50, n), scale=20).astype("float32")
    bounded = numpy(bounded_parameters(outputs, kind, ndim))
    np.testing.assert_array_equal(bounded[:, :ndim], outputs[:, :ndim])
    limits = {"rotation": np.pi / 2, "log_scale": np.log(2), "log_scaling": np.log(2)}
    start = 0
    for name, size in parameter_sizes(kind, ndim).items():
        if name != "translation":
            limit = limits.get(name, 1 / 3 if name == "perspective" else 1)
            largest = np.abs(bounded[:, start : start + size]).max()
            assert 0.9 * limit < largest < limit + 1e-6, name
        start += size
