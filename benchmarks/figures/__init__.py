"""The figures that tables share; each is written to a path."""

from benchmarks.figures.boxes import boxes
from benchmarks.figures.cases import cases, outlines
from benchmarks.figures.curves import Panel, learning_curves
from benchmarks.figures.grids import grids
from benchmarks.figures.lungs import coronal, landmarks
from benchmarks.figures.momenta import momenta
from benchmarks.figures.pareto import pareto
from benchmarks.figures.uncertainty import uncertainty

__all__ = [
    "Panel",
    "boxes",
    "cases",
    "coronal",
    "grids",
    "landmarks",
    "learning_curves",
    "momenta",
    "outlines",
    "pareto",
    "uncertainty",
]
