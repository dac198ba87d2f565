import os
import re
import signal
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from tfreg import ops
from tfreg.errors import InputError
from tfreg.ops import backend


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


@pytest.mark.compiled
@pytest.mark.parametrize("wrap", [lambda f: f, ops.graph, ops.compiled])
def test_a_value_that_is_held_is_the_value_and_has_its_gradient(numpy, wrap):
    def both(x):
        return ops.value_and_gradient(
            lambda t: keras.ops.sum(backend.held_value(t**2) * t, axis=1), x
        )

    x = np.array([[np.inf, 1.0], [2.0, -3.0]], "float32")  # one item is nothing to the others
    values, gradient = wrap(both)(keras.ops.convert_to_tensor(x))
    np.testing.assert_allclose(numpy(values), [np.inf, -19])
    np.testing.assert_allclose(numpy(gradient)[1], 3 * x[1] ** 2)


def in_a_fork(function):
    """What a forked process says of a call; None if nothing within 30 seconds."""
    there, here = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(30)
        try:
            said = str(function())
        except InputError as error:
            said = f"refused: {error}"
        os.write(here, said.encode())
        os._exit(0)
    os.close(here)
    os.waitpid(child, 0)
    with open(there, "rb") as answer:
        return answer.read().decode() or None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("wrap", [ops.compiled, ops.graph])
@pytest.mark.compiled
def test_a_forked_process_says_what_to_do_and_does_not_hang(wrap):
    wrapped = wrap(lambda x: x + 1)
    wrapped(np.zeros(3, "float32"))
    said = in_a_fork(lambda: wrapped(np.zeros(3, "float32")))
    assert re.fullmatch(
        r'refused: A process forked .* cannot run them: start it with "spawn", .* process \d+', said
    )
    again = in_a_fork(lambda: in_a_fork(lambda: wrapped(np.zeros(3, "float32"))))
    assert again.startswith("refused")
    wrapped(np.zeros(3, "float32"))  # the parent goes on


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_was_forked_before_anything_ran_works(monkeypatch):
    monkeypatch.setattr(backend, "_PROCESS", {"started": False, "forked": False})
    assert in_a_fork(lambda: backend._start()) == "None"


@pytest.mark.parametrize("name", ["torch", "nonsense"])
@pytest.mark.parametrize("module", ["ops", "layers", "losses", "registration"])
def test_a_backend_that_is_not_supported_is_one_line(name, module):
    """Whether Keras has it or not; torch may be installed."""
    code = f"""
        import tfreg
        from tfreg.errors import InputError
        try:
            import tfreg.{module}
        except InputError as error:
            print(error)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "KERAS_BACKEND": name},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        "tfreg runs on the backends tensorflow and jax of Keras: set KERAS_BACKEND=tensorflow. "
        f"Received: KERAS_BACKEND={name}.*\n",
        done.stdout,
    )
