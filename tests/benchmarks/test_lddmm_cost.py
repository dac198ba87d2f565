import json

import numpy as np
import pytest
from keras import ops as keras_ops

from benchmarks.__main__ import main
from benchmarks.tables import lddmm_cost
from tfreg import ops


@pytest.mark.long
@pytest.mark.parametrize("shape", [(14, 12), (8, 10, 9)])
def test_automatic_steps_are_those_of_the_adjoint(rng, numpy, shape):
    """Two programs of one scheme: the same map, the same gradient."""
    momentum = rng.normal(0, 2e-3, (1, *shape, len(shape))).astype("float32")
    weights = rng.normal(size=momentum.shape).astype("float32")

    def both(shoot):
        def value(tensor):
            return keras_ops.sum(weights * shoot(tensor), axis=tuple(range(1, len(shape) + 2)))

        run = ops.compiled(lambda tensor: ops.value_and_gradient(value, tensor))
        return [numpy(part) for part in run(keras_ops.convert_to_tensor(momentum))]

    one, other = (
        both(lambda m: ops.shoot(m, steps=2)),
        both(lambda m: lddmm_cost.automatic(m, steps=2)),
    )
    for found, expected in zip(one, other, strict=True):
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.long
def test_table_on_phantoms(tmp_path, monkeypatch):
    monkeypatch.setattr(lddmm_cost, "SHAPES", ((16, 14),))
    monkeypatch.setattr(lddmm_cost, "_STEPS", 4)
    words = ["--data", "phantom", "--pairs", "1", "--out", str(tmp_path)]
    assert main(["run", "lddmm-cost", *words]) == 0
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    cells = {(row["method"], row["metric"]): row["mean"] for row in rows}
    assert cells["adjoint", "seconds"] > 0 < cells["automatic", "matmuls"]
    assert cells["descent", "evaluations"] == 4 >= cells["lbfgs", "evaluations"]
    assert cells["lbfgs", "energy"] < 1 and cells["lbfgs", "diffeomorphic"] == 100
