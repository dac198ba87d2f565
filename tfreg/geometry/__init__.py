"""Where the voxels of an image lie in physical space, and where the rays of an X-ray run."""

from tfreg.geometry.camera import ConeBeam, meeting
from tfreg.geometry.grid import Geometry
from tfreg.geometry.pose import frame_of, matrix_of, pose_of, zone_of

__all__ = ["ConeBeam", "Geometry", "frame_of", "matrix_of", "meeting", "pose_of", "zone_of"]
