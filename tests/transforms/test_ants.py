"""Files of ANTs: ``GenericAffine.mat`` and ``Warp.nii.gz``."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from transform_cases import COUNT, affine, displacement, geometry, mapped, points

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.transforms import Affine, compose, load


@pytest.mark.parametrize("ndim", [2, 3])
def test_affine(ndim, tmp_path):
    rng = np.random.default_rng(ndim)
    path = tmp_path / "out0GenericAffine.mat"
    for _ in range(COUNT):
        grid = geometry(rng, ndim)
        where = points(rng, grid)
        first, second = affine(rng, grid), affine(rng, grid)
        both = compose(first, second)
        both.save(path, format="ants")  # two linear transforms are one
        np.testing.assert_allclose(
            mapped(sitk.ReadTransform(str(path)), where), both.apply_points(where), atol=1e-6
        )
        transform = sitk.AffineTransform(ndim)
        transform.SetMatrix(first.matrix.ravel().tolist())
        transform.SetTranslation(first.translation.tolist())
        transform.SetCenter(first.centre.tolist())
        sitk.WriteTransform(transform, str(path))
        np.testing.assert_allclose(
            load(path).apply_points(where), mapped(transform, where), atol=1e-6
        )


def test_matlab_in_floats_and_big_endian(tmp_path):
    values, name = np.array([1, 0, 0, 1, 7, 8], "f8"), b"AffineTransform_float_2_2\0"
    for kind, form in ((10, "<f4"), (1000, ">f8"), (1010, ">f4")):
        with open(tmp_path / "a.mat", "wb") as file:
            for title, numbers in ((name, values), (b"fixed\0", np.zeros(2))):
                header = struct.pack(f"{form[0]}5i", kind, len(numbers), 1, 0, len(title))
                file.write(header + title + numbers.astype(form).tobytes())
        assert load(tmp_path / "a.mat").translation.tolist() == [7, 8]


@pytest.mark.parametrize("ndim", [2, 3])
def test_warp(ndim, tmp_path, rng):
    """The layout that ANTs writes: five dimensions, and the intent of a vector."""
    transform = displacement(rng, geometry(rng, ndim))
    path = transform.save(tmp_path / "out1Warp.nii.gz", format="ants").paths[-1]
    header = gzip.decompress(path.read_bytes())[:352]
    sizes = (*transform.geometry.size, 1, 1)[:3]
    assert struct.unpack("<6h", header[40:52]) == (5, *sizes, 1, ndim)
    assert struct.unpack("<h", header[68:70]) == (1007,)


def test_only_linear_in_mat(tmp_path, rng):
    with pytest.raises(InputError, match=r"\.h5 holds all"):
        displacement(rng, geometry(rng, 3)).save(tmp_path / "a.mat")
    assert not list(tmp_path.iterdir())


def test_ants_itself(tmp_path, rng):
    ants = pytest.importorskip("ants", reason="antspyx is not installed")
    grid = Geometry((9, 8, 7), (1.0, 2.0, 3.0), (4.0, -5.0, 6.0), np.diag([-1.0, -1.0, 1.0]))
    where = points(rng, grid)
    for transform, name in (
        (affine(rng, grid), "a.mat"),
        (displacement(rng, grid), "Warp.nii.gz"),
        (Affine.identity(3), "identity.mat"),
    ):
        path = transform.save(tmp_path / name, format="ants").paths[-1]
        frame = dict(zip("xyz", where.T, strict=True))
        import pandas

        found = ants.apply_transforms_to_points(3, pandas.DataFrame(frame), [str(path)])
        np.testing.assert_allclose(
            found[["x", "y", "z"]].to_numpy(), transform.apply_points(where), atol=1e-3
        )
