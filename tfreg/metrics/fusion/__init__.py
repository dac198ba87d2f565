"""How much of two images a fused one shows.

Grey images ``(rows, columns)`` of one shape, NumPy only; a mask says which pixels are counted,
while what is about a pixel is seen whether inside or not. Higher is better, but for entropy and
spatial frequency, which noise raises too.

Values of one measure differ among toolboxes by constants and borders, which each function names.
"""

from tfreg.metrics.fusion.contrast import q_cb
from tfreg.metrics.fusion.frequency import spatial_frequency
from tfreg.metrics.fusion.gradient import CORRECTED, TOOLBOX, q_g
from tfreg.metrics.fusion.information import entropy, q_mi, q_ncie
from tfreg.metrics.fusion.structure import q_y, ssim

__all__ = [
    "CORRECTED",
    "TOOLBOX",
    "entropy",
    "q_cb",
    "q_g",
    "q_mi",
    "q_ncie",
    "q_y",
    "spatial_frequency",
    "ssim",
]
