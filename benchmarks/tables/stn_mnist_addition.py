"""Spatial transformer networks that add two digits: error rates (Table 4 of the paper)."""

import argparse

from benchmarks.harness import Table
from benchmarks.tables._stn import add_arguments, networks, table
from zoo.stn import METHOD
from zoo.stn.networks import TRANSFORMS

__all__ = ["add_arguments", "run"]

NAME = "stn-mnist-addition"
LINES = networks(("fcn", "cnn", "st-fcn", "2xst-fcn"), TRANSFORMS)


def run(options: argparse.Namespace) -> Table:
    """Classifies the scenes."""
    paper = {method: {"addition": error} for method, error in METHOD.numbers[NAME].items()}
    return table(NAME, options, LINES, {"all": "addition"}, paper)
