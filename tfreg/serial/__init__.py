"""Stacks of serial sections: from pair by pair to one volume."""

import tfreg.supported  # noqa: F401  first, since the others import Keras
from tfreg.serial.align import Alignment, align
from tfreg.serial.pairs import pyramid_for, register_sections, sections_by
from tfreg.serial.phase import phase_correlation
from tfreg.serial.relaxation import relax, without_drift

__all__ = [
    "Alignment",
    "align",
    "phase_correlation",
    "pyramid_for",
    "register_sections",
    "relax",
    "sections_by",
    "without_drift",
]
