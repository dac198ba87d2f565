"""Pure functions on tensors, written with ``keras.ops``; no state.

The map is ``moved(x) = moving(x + u(x))``, ``u`` on the fixed grid, in voxels, array-axis order.
"""

from tfreg.ops.backend import compiled, graph, value_and_gradient
from tfreg.ops.bspline import bspline_displacement
from tfreg.ops.field import cell_determinant, jacobian_determinant, jacobian_matrix
from tfreg.ops.grid import identity_grid
from tfreg.ops.resample import resample, sample

__all__ = [
    "bspline_displacement",
    "cell_determinant",
    "compiled",
    "graph",
    "identity_grid",
    "jacobian_determinant",
    "jacobian_matrix",
    "resample",
    "sample",
    "value_and_gradient",
]
