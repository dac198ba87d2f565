"""Spatial transformer networks on distorted MNIST: error rates (Table 1 of the paper)."""

import argparse

from benchmarks.harness import Table
from benchmarks.tables._stn import add_arguments, cost, networks, table
from zoo.stn import METHOD
from zoo.stn.networks import DISTORTIONS, TRANSFORMS

__all__ = ["add_arguments", "run"]

LINES = networks(("fcn", "cnn", "st-fcn", "st-cnn"), TRANSFORMS)
GROUPS = {kind.upper(): kind for kind in DISTORTIONS}
TIMED = ("cnn", "st-cnn tps")  # whose training step is measured


def run(options: argparse.Namespace) -> Table:
    """Classifies the scenes of all four distortions, and times training steps."""
    made = table("stn-mnist", options, LINES, GROUPS, METHOD.numbers["stn-mnist"])
    made.columns |= {"step": "median", "warp": "median"}
    made.protocol += (
        " `step`: a training step of 256 by the recipe; `warp`: that of one transformer's warp "
        "with its gradient, of which such a step has one."
    )
    chosen = {row.method for row in made.rows}
    for line in LINES:
        if line.method in chosen & {*TIMED}:
            made.rows += cost(line, "R", "r")
    return made
