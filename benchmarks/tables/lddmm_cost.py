"""LDDMM: what a gradient costs, and how many of them an optimiser needs."""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks import options as declared
from benchmarks.harness import Row, Table, choose
from benchmarks.pairs import Pair, brains
from tfreg.data import brain_slices

METHODS = ("adjoint", "automatic", "descent", "lbfgs")
SHAPES = ((128, 128), (48, 64, 48))
PAIRS = 10
COLUMNS = {
    "seconds": "median",
    "matmuls": "median",
    "evaluations": "median",
    "energy": "median",
    "diffeomorphic": "mean",
}
UNITS = {"seconds": "s", "matmuls": "", "evaluations": "", "energy": "", "diffeomorphic": "%"}
_REPEATS = 7
_STEPS = 30  # of descent
# First steps of descent, pixels; of those the best of each pair counts.
_RATES = (0.05, 0.1, 0.2, 0.4, 0.8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, PAIRS)
    declared.add_data(parser, ("oasis", "phantom"), "OASIS")


def run(options: argparse.Namespace) -> Table:
    """Times gradients, then counts evaluations."""
    methods = choose(options.methods, METHODS)
    data = declared.source(options, "oasis", brain_slices.available)
    table = Table(
        name="lddmm-cost",
        data=f"smooth noise; slices of brains ({data}, test split)",
        protocol=(
            "`adjoint`: the energy of a pair (mean square difference at the end of a geodesic of "
            "ten steps) and its gradient, by `tfreg.ops.shoot`; `automatic`: the same steps "
            "differentiated by TensorFlow. Both compiled, in turns, one process; `seconds` of "
            f"{_REPEATS} runs; `matmuls`: as many products of 1024x1024 matrices take as long, "
            f"timed between. `descent`: {_STEPS} steps of one length along the gradient, of the "
            f"lengths {', '.join(map(str, _RATES))} px the one that leads lowest on that pair; "
            "`lbfgs`: how many evaluations lead as low, one more than those steps where none do. "
            "`energy`: reached, over that at the start; "
            "`diffeomorphic`: pairs with det J > 0 in every voxel."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "repeats": _REPEATS, "pairs": options.pairs},
        layout="groups",
    )
    timed = [method for method in methods if method in ("adjoint", "automatic")]
    for shape in SHAPES if timed else ():
        for method, found in _times(shape, timed, options.seed).items():
            _add(table, method, "x".join(map(str, shape)), found)
    counted = [method for method in methods if method in ("descent", "lbfgs")]
    if counted:
        pairs = brains("test", data, options.seed, options.pairs)
        found = _evaluations(pairs)
        for method in counted:
            _add(table, method, "slices", found[method])
    return table


def _add(table: Table, method: str, group: str, found: dict[str, list[float]]) -> None:
    for metric, values in found.items():
        table.rows.append(Row.of(method, group, metric, UNITS[metric], values))


def _times(
    shape: tuple[int, ...], methods: Sequence[str], seed: int
) -> dict[str, dict[str, list[float]]]:
    from keras import ops as keras_ops

    from tfreg import ops

    rng = np.random.default_rng(seed)
    images = rng.random((2, 1, *shape, 1)).astype("float32")
    momentum = (1e-3 * rng.normal(size=(1, *shape, len(shape)))).astype("float32")
    maps = {"adjoint": ops.shoot, "automatic": automatic}

    def energy(shoot: Callable, momentum: Any, fixed: Any, moving: Any) -> Any:
        difference = ops.resample(moving, shoot(momentum)) - fixed
        return keras_ops.reshape(keras_ops.mean(difference * difference), (1,))

    def gradient(shoot: Callable, *args: Any) -> Any:
        momentum, *images = args
        return ops.value_and_gradient(
            lambda one: energy(shoot, one, *images), keras_ops.convert_to_tensor(momentum)
        )

    runs = {name: ops.compiled(partial(gradient, maps[name])) for name in methods}
    square = rng.random((1024, 1024)).astype("float32")
    product = ops.compiled(lambda a: keras_ops.matmul(a, a))

    def seconds(run: Callable, *args: Any) -> float:
        begin = time.perf_counter()
        keras_ops.convert_to_numpy(keras_ops.ravel(run(*args)[-1])[:1])
        return time.perf_counter() - begin

    found: dict[str, dict[str, list[float]]] = {
        name: {"seconds": [], "matmuls": []} for name in runs
    }
    for turn in range(_REPEATS + 1):  # the first one compiles
        for name, run in runs.items():
            unit = min(seconds(product, square) for _ in range(10))
            taken = seconds(run, momentum, *images)
            if turn:
                found[name]["seconds"].append(taken)
                found[name]["matmuls"].append(taken / unit)
    return found


def automatic(momentum: Any, steps: int = 10) -> Any:
    """As :func:`tfreg.ops.shoot` with voxels of 1 mm, without a gradient of its own."""
    from keras import ops as keras_ops

    from tfreg import ops
    from tfreg.ops.backend import scan

    axes = range(momentum.shape[-1])

    def slope(at: Any) -> Any:
        jacobian = keras_ops.stack(
            [
                0.5 * (keras_ops.roll(at, -1, 1 + axis) - keras_ops.roll(at, 1, 1 + axis))
                for axis in axes
            ],
            axis=-1,
        ) + keras_ops.eye(len(axes))
        carried = ops.resample(momentum, at, mode="constant")
        pushed = keras_ops.sum(jacobian * carried[..., None], axis=-2)
        velocity = ops.fluid_velocity(_determinant(jacobian)[..., None] * pushed)
        return -keras_ops.sum(jacobian * velocity[..., None, :], axis=-1)

    def step(state: tuple, _: tuple) -> tuple:
        (at,) = state
        first = slope(at)
        second = slope(at + first / (2 * steps))
        third = slope(at + second / (2 * steps))
        fourth = slope(at + third / steps)
        return (at + (first + 2 * second + 2 * third + fourth) / (6 * steps),), ()

    return scan(step, (keras_ops.zeros_like(momentum),), (keras_ops.zeros((steps, 1)),))[0][0]


def _determinant(matrix: Any) -> Any:
    """By its first row, of matrices ``(..., n, n)``, n at most 3."""
    from keras import ops as keras_ops

    n = matrix.shape[-1]
    if n == 1:
        return matrix[..., 0, 0]
    total: Any = 0.0
    for column in range(n):
        others = [k for k in range(n) if k != column]
        minor = keras_ops.take(matrix[..., 1:, :], others, axis=-1)
        total = total + (-1) ** column * matrix[..., 0, column] * _determinant(minor)
    return total


def _evaluations(pairs: Sequence[Pair]) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {
        name: {"evaluations": [], "energy": [], "diffeomorphic": []} for name in METHODS[2:]
    }
    for pair in pairs:
        start, lowest, whole = min(
            (_run(pair, "descent", _STEPS, rate) for rate in _RATES), key=lambda one: one[1]
        )
        _note(found["descent"], _STEPS, lowest / start, whole)
        for count in range(1, _STEPS + 1):
            _, reached, whole = _run(pair, "lbfgs", count, 0.5)
            if reached <= lowest:
                break
        else:
            count = _STEPS + 1
        _note(found["lbfgs"], count, reached / start, whole)
    return found


def _note(found: dict[str, list[float]], count: int, energy: float, whole: bool) -> None:
    found["evaluations"].append(count)
    found["energy"].append(energy)
    found["diffeomorphic"].append(100.0 * whole)


def _run(pair: Pair, optimiser: str, steps: int, rate: float) -> tuple[float, float, bool]:
    """Energy before and after, and whether the map is a diffeomorphism on the grid."""
    from tfreg.registration import Level, Pyramid, register
    from zoo.quicksilver.momenta import WEIGHT

    level = Level(steps=steps, learning_rate=rate, decay=1.0, weight=WEIGHT, optimiser=optimiser)
    answer = register(
        *(pair.fixed, pair.moving, "lddmm"), similarity="mse", pyramid=Pyramid((level,))
    )
    (report,) = answer.levels
    before, after = float(report.loss_before[0]), float(report.loss_after[0])
    return before, after, answer.check().jacobian_min > 0
