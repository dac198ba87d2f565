"""Deformation of a skull from a lateral X-ray: the regressor, and Gauss-Newton through the DRR."""

import argparse
import time

import numpy as np

import zoo
from benchmarks.harness import Row, Table, choose
from tfreg.errors import InputError

METHODS = {
    "start": None,
    "regressor 1": {"iterations": 1},
    "regressor 3": {"iterations": 3},
    "gauss-newton gc": {"iterations": 0, "refine": "gauss-newton"},
    "regressor 1 + refine": {"iterations": 1, "refine": "gauss-newton"},
}
COLUMNS = {"bone error": "mean ± sd", "seconds": "median"}
PRESET = "craniofacial-cranium"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument("--cases", type=int, default=100, help="deformations (default: 100)")


def run(options: argparse.Namespace) -> Table:
    """Finds the same random deformations by every method."""
    if options.cases < 1:
        raise InputError(f"--cases must be positive. Received: {options.cases}")
    chosen = choose(options.methods, list(METHODS))
    from tfreg.data.xrays import degraded, texture
    from zoo.craniofacial.images import LOOK, bone_error, images_of
    from zoo.craniofacial.train_cranium import LATERAL, thing

    model = zoo.load(PRESET, task="pose")
    volume, camera, *_ = thing("cranium")
    scene, fields = model.scene(volume), model.subspace.fields
    rng = np.random.default_rng([options.seed, 2**22])
    true = np.clip(rng.normal(size=(options.cases, len(fields))), -3, 3).astype("float32")
    brightest = images_of(scene, np.zeros((1, len(fields)), "float32"), "joseph").max()
    clean = images_of(scene, true, "siddon") / brightest
    xrays = [degraded(one, texture(one.shape, rng), LOOK, rng) for one in clean]
    table = Table(
        name="craniofacial",
        data="a skull from CT under random smooth deformations, lateral synthetic X-rays",
        protocol=(
            f"{options.cases} deformations of the sub-space that the network was trained on, none "
            "of which it has seen; X-rays by Siddon's sum from the voxels that the methods "
            "deform, degraded. `bone error`: mean distance over all bone between where the found "
            "and the true deformation take it from, in 3-D; one image says little of what is along "
            "its rays. `gauss-newton gc` begins at no deformation, `+ refine` where the network "
            "ended. `seconds`: one at a time, warm."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "cases": options.cases},
        notes=[f"{PRESET}: {zoo.describe(PRESET).training['command']}"],
    )
    for method in chosen:
        settings = METHODS[method]
        errors, seconds = [], []
        if settings is not None:  # the first compiles
            model.register(volume, xrays[0], camera, LATERAL, **settings)
        for xray, wanted in zip(xrays, true, strict=True):
            begin = time.perf_counter()
            found = np.zeros(len(wanted))
            if settings is not None:
                found = model.register(volume, xray, camera, LATERAL, **settings).coefficients
            seconds.append(time.perf_counter() - begin)
            errors.append(bone_error(volume, fields, found, wanted))
        table.rows.append(Row.of(method, "all", "bone error", "mm", errors))
        table.rows.append(Row.of(method, "all", "seconds", "s", seconds))
    return table
