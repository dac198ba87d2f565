"""How good a registration is: overlap, surfaces, landmarks, and the field itself.

NumPy and SciPy only. Arrays have no batch and no channel axis: images are ``(*spatial)``, a
displacement is ``(*spatial, ndim)`` in voxels of its grid, array-axis order, of the pull-back map
``moved(x) = moving(x + u(x))``. Spacing is in mm per axis, array-axis order.

:mod:`tfreg.metrics.l2r_compatible` holds the same measures as the Learn2Reg evaluators take them,
to compare with published numbers; the two sets differ and are not to be mixed in one table.
:mod:`tfreg.metrics.fusion` holds those of fused images.
"""

from tfreg.metrics import fusion, l2r_compatible
from tfreg.metrics.fields import (
    InverseConsistency,
    folding_fraction,
    inverse_consistency_error,
    jacobian_determinant,
    sd_log_jacobian,
)
from tfreg.metrics.overlap import dice, target_overlap
from tfreg.metrics.points import target_registration_error
from tfreg.metrics.projection import corners_of, projected_spread, projected_tre
from tfreg.metrics.surface import (
    SurfaceDistances,
    hausdorff95,
    mean_surface_distance,
    surface_distances,
)

__all__ = [
    "InverseConsistency",
    "SurfaceDistances",
    "corners_of",
    "dice",
    "folding_fraction",
    "fusion",
    "hausdorff95",
    "inverse_consistency_error",
    "jacobian_determinant",
    "l2r_compatible",
    "mean_surface_distance",
    "projected_spread",
    "projected_tre",
    "sd_log_jacobian",
    "surface_distances",
    "target_overlap",
    "target_registration_error",
]
