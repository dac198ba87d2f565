"""Pure functions on tensors, written with ``keras.ops``; no state.

The map is ``moved(x) = moving(x + u(x))``, ``u`` on the fixed grid, in voxels, array-axis order.
"""

import tfreg.supported  # noqa: F401  first, since the others import Keras
from tfreg.ops.affine_parts import AffineParts, affine_matrix, decompose_affine, rotation_matrix
from tfreg.ops.algebra import (
    compose,
    exponential,
    invert,
    resize_displacement,
    warp_points,
)
from tfreg.ops.backend import compiled, graph, uncompiled, value_and_gradient
from tfreg.ops.bspline import bspline_coefficients, bspline_derivative, bspline_displacement
from tfreg.ops.convolution import convolution
from tfreg.ops.downsample import downsample, smooth
from tfreg.ops.field import (
    cell_determinant,
    curl,
    divergence,
    gradient,
    jacobian_determinant,
    jacobian_matrix,
)
from tfreg.ops.fluid import FluidOperator, fluid_velocity
from tfreg.ops.grid import identity_grid
from tfreg.ops.labels import resample_labels
from tfreg.ops.laplacian import (
    collapse_laplacian,
    gaussian_pyramid,
    highest_level,
    laplacian_pyramid,
)
from tfreg.ops.linear import apply_linear, compose_linear, invert_linear, linear_displacement
from tfreg.ops.linear_fit import fit_linear
from tfreg.ops.linear_parameters import bounded_parameters, linear_matrix, parameter_sizes
from tfreg.ops.normalised import (
    matrix_from_normalised,
    matrix_to_normalised,
    points_from_normalised,
    points_to_normalised,
    stn_identity,
    stn_theta,
)
from tfreg.ops.pose import pose_rays, pose_rotation
from tfreg.ops.projection import attenuation, project, project_jacobian
from tfreg.ops.projection_plane import project_plane
from tfreg.ops.pyramid_fusion import fuse_pyramids
from tfreg.ops.resample import resample, sample
from tfreg.ops.shooting import forget_geodesics, geodesic, shoot
from tfreg.ops.spatial import spatial_displacement, spatial_parameters
from tfreg.ops.squaring import flow
from tfreg.ops.tps import tps_coefficients, tps_displacement, tps_evaluate
from tfreg.ops.tps_layout import control_point_grid, tps_layout_displacement

__all__ = [
    "AffineParts",
    "FluidOperator",
    "affine_matrix",
    "apply_linear",
    "attenuation",
    "bounded_parameters",
    "bspline_coefficients",
    "bspline_derivative",
    "bspline_displacement",
    "cell_determinant",
    "collapse_laplacian",
    "compiled",
    "compose",
    "compose_linear",
    "control_point_grid",
    "convolution",
    "curl",
    "decompose_affine",
    "divergence",
    "downsample",
    "exponential",
    "fit_linear",
    "flow",
    "fluid_velocity",
    "forget_geodesics",
    "fuse_pyramids",
    "gaussian_pyramid",
    "geodesic",
    "gradient",
    "graph",
    "highest_level",
    "identity_grid",
    "invert",
    "invert_linear",
    "jacobian_determinant",
    "jacobian_matrix",
    "laplacian_pyramid",
    "linear_displacement",
    "linear_matrix",
    "matrix_from_normalised",
    "matrix_to_normalised",
    "parameter_sizes",
    "points_from_normalised",
    "points_to_normalised",
    "pose_rays",
    "pose_rotation",
    "project",
    "project_jacobian",
    "project_plane",
    "resample",
    "resample_labels",
    "resize_displacement",
    "rotation_matrix",
    "sample",
    "shoot",
    "smooth",
    "spatial_displacement",
    "spatial_parameters",
    "stn_identity",
    "stn_theta",
    "tps_coefficients",
    "tps_displacement",
    "tps_evaluate",
    "tps_layout_displacement",
    "uncompiled",
    "value_and_gradient",
    "warp_points",
]
