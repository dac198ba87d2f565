"""The marked tests of operations, layers and losses once more, on JAX, in a process of its own.

``KERAS_BACKEND=jax JAX_ENABLE_X64=1 python -m pytest tests/ops tests/layers tests/losses`` runs
all of them; that JAX gives the numbers of TensorFlow is shown by ``ops/test_backends_agree.py``.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
@pytest.mark.skipif(keras.config.backend() == "jax", reason="already running on JAX")
def test_on_jax():
    parts = ["ops", "layers", "losses", "test_optimise.py", "registration", "zoo"]
    options = ["-q", "-rs", "-m", "compiled or on_jax"]
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(str(ROOT / "tests" / part) for part in parts)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"},
        capture_output=True,
        text=True,
    )
    last = answer.stdout.strip().splitlines()[-1]
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-1000:]
    assert "passed" in last, last
    assert "float64 is switched off" not in answer.stdout
