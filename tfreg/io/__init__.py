"""Images and points on disk, in physical space.

``read`` and ``write`` take NIfTI, MetaImage, NRRD, PNG, TIFF and ``.npy``; ``read`` also takes
folders of DICOM. Whatever a file holds, it is checked before anything of its size is allocated.
"""

from tfreg.io.cameras import read_camera
from tfreg.io.frames import flattened, read_frames
from tfreg.io.points import read_points, write_points
from tfreg.io.reading import read, read_colours, read_image
from tfreg.io.silence import quiet
from tfreg.io.writing import write, write_folder, write_png, write_together

__all__ = [
    "flattened",
    "quiet",
    "read",
    "read_camera",
    "read_colours",
    "read_frames",
    "read_image",
    "read_points",
    "write",
    "write_folder",
    "write_png",
    "write_points",
    "write_together",
]
