"""Axes of NRRD that are not of space."""

import numpy as np
import pytest
from test_reading import nrrd

from tfreg import io
from tfreg.errors import InputError

BYTES = bytes(range(24))


def test_slices_in_time_lie_where_their_axes_point(tmp_path):
    content = nrrd(
        "4 3 2",
        BYTES,
        kinds="domain domain time",
        space="LPS",
        space_directions="(0,1.5,2) (0,-4,3) (1,0,0)",
        space_origin="(10,20,30)",
    )
    (tmp_path / "a.nrrd").write_bytes(content)
    frames = io.read_frames(tmp_path / "a.nrrd")
    np.testing.assert_array_equal([f.array for f in frames], np.arange(24).reshape(2, 3, 4))
    np.testing.assert_allclose(frames[0].geometry.spacing, (2.5, 5))
    with pytest.raises(InputError, match="series of 2 frames"):
        io.read(tmp_path / "a.nrrd")


def test_a_line_in_time_is_refused(tmp_path):
    (tmp_path / "a.nrrd").write_bytes(nrrd(kinds="domain time"))
    with pytest.raises(InputError, match=r"two or three axes in space.*\['domain', 'time'\]"):
        io.read(tmp_path / "a.nrrd")
