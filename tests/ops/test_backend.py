import keras
import numpy as np
import pytest

from tfreg import ops


@pytest.mark.parametrize("wrap", [ops.compiled, ops.graph])
@pytest.mark.compiled
def test_wrapped_function_is_the_function_and_is_traced_once_per_shape(numpy, wrap):
    traces = []

    def scaled(x, factor):
        traces.append(tuple(x.shape))
        return {"result": keras.ops.sum(x * factor, axis=1)}

    wrapped = wrap(scaled)
    for rows in (2, 3, 2, 2):
        x = np.arange(4.0 * rows, dtype="float32").reshape(rows, 4)
        np.testing.assert_allclose(
            numpy(wrapped(x, np.float32(3))["result"]), 3 * x.sum(axis=1), rtol=1e-6
        )
    assert traces == [(2, 4), (3, 4)]


@pytest.mark.compiled
def test_values_stay_per_problem_and_the_gradient_is_of_their_sum(numpy):
    x = keras.ops.convert_to_tensor(np.array([[1.0, 2.0], [3.0, -4.0]], "float32"))
    values, gradient = ops.value_and_gradient(lambda t: keras.ops.sum(t**3, axis=1), x)
    np.testing.assert_allclose(numpy(values), [9, -37])
    np.testing.assert_allclose(numpy(gradient), [[3, 12], [27, 48]])


@pytest.mark.compiled
def test_gradient_inside_a_compiled_function(numpy):
    def gradient(x):
        return ops.value_and_gradient(lambda t: keras.ops.sum(t**2, axis=1), x)[1]

    x = np.array([[1.0, -2.0]], "float32")
    np.testing.assert_allclose(numpy(ops.compiled(gradient)(x)), 2 * x)


def test_other_backends_run_uncompiled_and_have_no_gradient(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "numpy")

    def function(x):
        return x

    assert ops.compiled(function) is function and ops.graph(function) is function
    with pytest.raises(RuntimeError, match="backend=numpy"):
        ops.value_and_gradient(function, np.zeros(2))
