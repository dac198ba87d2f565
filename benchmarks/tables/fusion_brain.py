"""Fusion of brain images, CT, PET and SPECT with MRI: by the network, and by rules without one."""

import argparse
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import zoo
from benchmarks import options as declared
from benchmarks.harness import Row, Table, choose
from benchmarks.measurement import timed
from benchmarks.methods.fusion_rules import RULES, unavailable
from benchmarks.tables import _fusion
from tfreg import ops
from tfreg.data import brain_pairs

PRESET = "fusion-cnn"
CNN = "cnn"
METHODS = (CNN, *RULES)
COLUMNS = {
    **dict.fromkeys(_fusion.UNITS, "mean ± sd"),
    "rank": "mean ± sd",
    "seconds": "median",
    "seconds_batched": "median",
    "seconds_convolutions": "median",
    "seconds_rest": "median",
    "seconds_bfloat16": "median",
    "changed_bfloat16": "mean",
}
BATCH = 8
WHOLE = {"first_range": (0, 255), "second_range": (0, 255)}
PROTOCOL = (
    "All methods fuse the same pairs, in colour their light with the MRI; fused images are rounded "
    "to 8 bits and judged by `tfreg.metrics.fusion`, higher is better. `q_g`: with the corrected "
    "constants. `rank`: the place among the methods by Q_MI, Q_G, Q_Y and Q_CB, mean of the four "
    "on each pair; 1 is best. `seconds`: a pair of 256x256 at a time, warm. Of grey pairs: "
    f"`seconds_batched`: per pair in batches of {BATCH}; `seconds_convolutions`: the three "
    "convolutions of the network alone; `seconds_rest`: all but these; `changed_bfloat16`: pixels "
    "of 8 bits that differ where convolutions run in bfloat16."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, what="pairs of each group at most")
    declared.add_data(parser, ("harvard", "phantom"), "The Whole Brain Atlas", "phantom heads")
    parser.add_argument("--model", default=PRESET, help=f"a preset (default: {PRESET})")


def run(options: argparse.Namespace) -> Table:
    """Fuses the test pairs of every group with every method."""
    data = declared.source(options, "harvard", brain_pairs.available)
    chosen = choose(options.methods, METHODS)
    table = Table(
        name="fusion-brain",
        data=str(brain_pairs.SOURCES[data]) + ", test pairs",
        protocol=PROTOCOL,
        columns=COLUMNS,
        settings={"pairs": options.pairs or "all", "seed": options.seed, "model": options.model},
        layout="groups",
    )
    model = zoo.load(options.model, task="fusion") if CNN in chosen else None
    missing = {name: why for name in chosen if (why := unavailable(name))}
    table.notes += [f"{name}: {why}" for name, why in missing.items()]
    fusers = {name: _fuser(name, model) for name in chosen if name not in missing}
    lines = {}
    for group in brain_pairs.GROUPS:
        pairs = brain_pairs.pairs(group, "test", data)
        count = len(pairs.names[: options.pairs])
        found: dict[str, list] = {}
        for name, fuse in fusers.items():
            fuse(pairs.first[0], pairs.second[0])  # compiles
            found[name], seconds = _judged(fuse, pairs, count)
            table.rows += _fusion.rows(name, group, found[name])
            table.rows.append(Row.of(name, group, "seconds", "s", seconds))
        if len(found) > 1:
            places = _fusion.ranks(found)
            table.rows += [Row.of(m, group, "rank", "1", places[m]) for m in found]
            if CNN in found:
                table.notes.append(_said(group, {m: p.mean() for m, p in places.items()}))
        if model is not None and group == brain_pairs.GROUPS[0]:
            table.rows += _cost(model, group, pairs)
        lines[group] = _shown(fusers, model, pairs.first[count // 2], pairs.second[count // 2])
    columns = ["first", "second", *(["weight"] if model is not None else []), *fusers]
    table.figures["cases.png"] = lambda path: _fusion.cases(columns, lines, path)
    return table


def _fuser(name: str, model: Any) -> _fusion.Fuser:
    if name != CNN:
        return _fusion.by_light(RULES[name])
    return lambda first, second: model.fuse(first, second, **WHOLE).fused


def _judged(fuse: _fusion.Fuser, pairs: Any, count: int) -> tuple[list, list[float]]:
    """The measures of each pair, and seconds."""
    found, seconds = [], []
    for first, second in zip(pairs.first[:count], pairs.second[:count], strict=True):
        begin = time.perf_counter()
        fused = fuse(first, second)
        seconds.append(time.perf_counter() - begin)
        found.append(_fusion.judge(first, second, fused))
    return found, seconds


def _said(group: str, places: dict[str, float]) -> str:
    """Which place the network has among the methods."""
    order = sorted(places, key=lambda method: places[method])
    return f"{group}: cnn is number {1 + order.index(CNN)} of {len(order)} by mean rank."


def _shown(fusers: dict, model: Any, first: np.ndarray, second: np.ndarray) -> list[np.ndarray]:
    """A line of the figure."""
    weight = [] if model is None else [model.fuse(first, second, **WHOLE).weight]
    fused = [fuse(first, second) for fuse in fusers.values()]
    return [first / 255, second / 255, *weight, *fused]


def _cost(model: Any, group: str, pairs: Any) -> list[Row]:
    """Times of the network and of its parts, in batches, and in bfloat16, and what that changes."""
    first, second = (np.resize(a, (BATCH, *a.shape[1:])) for a in (pairs.first, pairs.second))
    half, rest = _in_bfloat16(model), _without_convolutions(model, first[0], second[0])
    seconds = {
        "seconds_batched": timed(lambda: model.fuse(first, second, BATCH, **WHOLE)),
        "seconds_convolutions": timed(_convolutions(model, first.shape[1:])),
        "seconds_rest": timed(lambda: rest.fuse(first[0], second[0], **WHOLE)),
        "seconds_bfloat16": timed(lambda: half.fuse(first[0], second[0], **WHOLE)),
    }
    seconds["seconds_batched"] = [value / BATCH for value in seconds["seconds_batched"]]
    changed = []
    for one, other in zip(first, second, strict=True):
        both = (np.rint(255 * m.fuse(one, other, **WHOLE).fused) for m in (model, half))
        changed.append(100 * float(np.not_equal(*both).mean()))
    made = [Row.of(CNN, group, metric, "s", values) for metric, values in seconds.items()]
    return [*made, Row.of(CNN, group, "changed_bfloat16", "%", changed)]


def _convolutions(model: Any, shape: tuple[int, ...]) -> Callable[[], Any]:
    """The convolutions of a pair and the maximum between them."""
    column = ops.graph(lambda pair: model.column(pair), model.variables)
    noise = np.random.default_rng(0).random((2, *shape, 1))
    pair = keras.ops.convert_to_tensor(noise, "float32")
    return lambda: keras.ops.convert_to_numpy(column(pair)[0, 0, 0])


def _without_convolutions(model: Any, first: np.ndarray, second: np.ndarray) -> Any:
    """The same network, which knows the features of two images of 8 bits, and computes none."""
    pair = (a[None, ..., None] / 255 for a in (first, second))
    features = model.features(*(keras.ops.convert_to_tensor(a, "float32") for a in pair))
    rest = _copy(model, "rest")
    rest.features = lambda *_: features
    return rest


def _in_bfloat16(model: Any) -> Any:
    """The same network with half of the bits in its convolutions."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return _copy(model, "half")
    finally:
        keras.config.set_dtype_policy(before)


def _copy(model: Any, name: str) -> Any:
    made = type(model).from_config({**model.get_config(), "name": name})
    made.build()
    made.set_weights(model.get_weights())
    return made
