"""Files of ITK and displacement images, against SimpleITK, in both directions."""

import numpy as np
import pytest
import SimpleITK as sitk
from transform_cases import (
    COUNT,
    affine,
    bspline,
    displacement,
    geometry,
    mapped,
    points,
)

from tfreg.errors import InputWarning
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.transforms import Affine, Displacement, Sequence, compose, load

SUFFIXES = (".tfm", ".txt", ".h5")
EXACT = 1e-6  # mm; the promise is 1e-3
SHEARED = ((1.0, 0.6), (0.0, 0.8))


def ours(kind, rng, grid, k):
    if kind == "affine":
        return affine(rng, grid)
    if kind == "bspline":
        return bspline(rng, grid, 1 + k % 3)
    if kind == "displacement":
        return displacement(rng, grid)
    return compose(bspline(rng, grid), affine(rng, grid), displacement(rng, grid))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("kind", ["affine", "bspline", "displacement", "composite"])
def test_written_here_read_by_simpleitk_and_back(kind, ndim, tmp_path):
    rng = np.random.default_rng(ndim)
    for k in range(COUNT):
        grid = geometry(rng, ndim)
        transform, where = ours(kind, rng, grid, k), points(rng, grid)
        suffix = (*SUFFIXES, ".mat")[k % 4] if kind == "affine" else SUFFIXES[k % 3]
        saved = transform.save(tmp_path / f"t{suffix}")
        assert saved.loss == 0
        found = mapped(sitk.ReadTransform(str(saved.paths[-1])), where)
        expected = transform.apply_points(where)
        np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)
        np.testing.assert_array_equal(load(saved.paths[-1]).apply_points(where), expected)


def theirs(rng, grid, k):
    """Transforms of SimpleITK of all classes, with random parameters."""
    ndim = grid.ndim
    centre, shift = (grid.centre + rng.normal(0, 5, ndim)).tolist(), rng.normal(0, 9, ndim).tolist()
    scale, angle = rng.uniform(0.5, 2), rng.uniform(-3, 3)
    scales = rng.uniform(0.5, 2, ndim).tolist()
    scaled = sitk.ScaleTransform(ndim, scales)
    scaled.SetCenter(centre)
    spline = sitk.BSplineTransform(ndim, 1 + k % 3)
    fixed = [*grid.size, *grid.origin, *grid.spacing, *np.ravel(grid.direction)]
    spline.SetFixedParameters([float(value) for value in fixed])
    spline.SetParameters(rng.normal(0, 3, len(spline.GetParameters())).tolist())
    image = sitk.GetImageFromArray(rng.normal(0, 3, (*grid.shape, ndim)), isVector=True)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(np.ravel(grid.direction).tolist())
    general = sitk.AffineTransform(ndim)
    general.SetMatrix((np.eye(ndim) + rng.normal(0, 0.2, (ndim, ndim))).ravel().tolist())
    general.SetTranslation(shift)
    general.SetCenter(centre)
    found = [general, sitk.TranslationTransform(ndim, shift), scaled]
    if ndim == 2:
        found += [
            sitk.Euler2DTransform(centre, angle, shift),
            sitk.Similarity2DTransform(scale, angle, shift, centre),
        ]
    else:
        axis, skew = rng.normal(size=3).tolist(), rng.normal(0, 0.1, 6).tolist()
        turned = sitk.Euler3DTransform(centre, *rng.uniform(-1.5, 1.5, 3).tolist(), shift)
        turned.SetComputeZYX(bool(k % 2))
        found += [
            turned,
            sitk.VersorTransform(axis, angle, centre),
            sitk.VersorRigid3DTransform(axis, angle, shift, centre),
            sitk.Similarity3DTransform(scale, axis, angle, shift, centre),
            sitk.ScaleVersor3DTransform(scales, axis, angle, shift, centre),
            sitk.ScaleSkewVersor3DTransform(scales, skew, axis, angle, shift, centre),
            sitk.ComposeScaleSkewVersor3DTransform(scales, skew[:3], axis, angle, shift, centre),
        ]
    linear = list(found)
    found += [spline, sitk.DisplacementFieldTransform(image)]
    chosen = [found[i] for i in rng.integers(len(found), size=3)]
    return linear, [*found[len(linear) :], sitk.CompositeTransform(chosen)]


@pytest.mark.parametrize("ndim", [2, 3])
def test_written_by_simpleitk_read_here(ndim, tmp_path):
    rng = np.random.default_rng(10 + ndim)
    for k in range(COUNT):
        grid = geometry(rng, ndim)
        where = points(rng, grid)
        linear, rest = theirs(rng, grid, k)
        for j, transform in enumerate((linear[k % len(linear)], rest[k % 3], rest[-1])):
            suffix = (*SUFFIXES, ".mat")[k % 4] if j == 0 else SUFFIXES[k % 3]
            path = tmp_path / f"t{suffix}"
            sitk.WriteTransform(transform, str(path))
            expected = mapped(transform, where)
            found = load(path).apply_points(where)
            np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)


@pytest.mark.parametrize("ndim", [2, 3])
def test_displacement_images(ndim, tmp_path):
    rng = np.random.default_rng(20 + ndim)
    for k in range(COUNT):
        grid = geometry(rng, ndim)
        transform, where = displacement(rng, grid), points(rng, grid)
        suffix = (".nii.gz", ".mha", ".nrrd", ".nii")[k % 4]
        path = tmp_path / f"t{k}{suffix}"  # SimpleITK confuses t.nii.gz with t.nii
        # NIfTI keeps its geometry in float32, and ITK takes some of it from another statement.
        near, exact = (1e-3, 1e-5) if suffix.startswith(".nii") else (1e-5, EXACT)
        saved = transform.save(path)
        assert 0 < saved.loss < 1e-5  # float32
        image = sitk.ReadImage(str(path), sitk.sitkVectorFloat64)
        found = mapped(sitk.DisplacementFieldTransform(image), where)
        expected = transform.apply_points(where)
        np.testing.assert_allclose(found, expected, rtol=0, atol=near)
        np.testing.assert_allclose(load(path).apply_points(where), found, rtol=0, atol=exact)
        # theirs: written by SimpleITK in float64
        image = sitk.GetImageFromArray(transform.field, isVector=True)
        image.SetSpacing(grid.spacing)
        image.SetOrigin(grid.origin)
        image.SetDirection(np.ravel(grid.direction).tolist())
        sitk.WriteImage(image, str(path))
        np.testing.assert_allclose(load(path).apply_points(where), expected, rtol=0, atol=near)


def test_images_are_warped_as_by_simpleitk(tmp_path, rng):
    for ndim in (2, 3):
        grid, other = geometry(rng, ndim, 10, 14), geometry(rng, ndim, 10, 14)
        matrix = np.linalg.qr(rng.normal(size=(ndim, ndim)))[0]
        centred = Affine(matrix, other.centre - grid.centre, grid.centre)
        transform = compose(displacement(rng, grid), centred)
        image = Image(rng.normal(size=other.shape).astype("float32"), other)
        path = transform.save(tmp_path / "t.h5").paths[-1]
        reference = Image(np.zeros(grid.shape, "float32"), grid).to_sitk()
        modes = {"linear": sitk.sitkLinear, "nearest": sitk.sitkNearestNeighbor}
        modes["cubic"] = sitk.sitkBSpline3
        for name, mode in modes.items():
            expected = sitk.Resample(
                image.to_sitk(), reference, sitk.ReadTransform(str(path)), mode, -3.0
            )
            found = transform.apply(image, grid, name, fill=-3.0)
            difference = np.abs(found.array - sitk.GetArrayFromImage(expected))
            assert (found.array != -3).mean() > 0.1
            # SimpleITK steps along a line in float, which can change a voxel on the very border.
            assert (difference > 2e-3).mean() < 0.02, (ndim, name)


def test_sequence_is_the_other_way_round_in_the_file(tmp_path):
    transform = compose(Affine(2 * np.eye(2), [0, 0]), Affine(np.eye(2), [1, 0]))
    text = transform.save(tmp_path / "t.tfm").paths[0].read_text()
    assert text.index("1.0 0.0 0.0 1.0 1.0 0.0") < text.index("2.0 0.0 0.0 2.0 0.0 0.0")
    assert isinstance(load(tmp_path / "t.tfm"), Sequence)


def test_nifti_beside_another_of_the_same_name(tmp_path):
    """ITK reads the voxels of ``a.nii`` for ``a.nii.gz``."""
    grid = Geometry.of_shape((4, 5))
    for value, suffix in ((1.0, ".nii"), (2.0, ".nii.gz")):
        Displacement(np.full((4, 5, 2), value), grid).save(tmp_path / f"a{suffix}")
    assert load(tmp_path / "a.nii").field.max() == 1
    assert load(tmp_path / "a.nii.gz").field.max() == 2


def test_sheared_axes(tmp_path):
    transform = Displacement(np.ones((4, 5, 2)), Geometry((5, 4), (1, 2), (3, 4), SHEARED))
    with pytest.warns(InputWarning, match=r"a\.nii\.gz has axes that are not at right angles"):
        transform.save(tmp_path / "a.nii.gz")
    transform.save(tmp_path / "a.nrrd")
    for name in ("a.nii.gz", "a.nrrd"):
        found = load(tmp_path / name)
        np.testing.assert_array_equal(found.field, transform.field)
        corner = found.geometry.to_physical([3, 4])
        np.testing.assert_allclose(corner, transform.geometry.to_physical([3, 4]), atol=1e-6)


def test_old_and_compressed_hdf5(tmp_path, rng):
    """Files of ITK 4 miss a letter in two keys; ANTs compresses."""
    import h5py

    spline = bspline(rng, geometry(rng, 3))
    spline.save(tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5") as file:
        group = file["TransformGroup/0"]
        values = {key: group[key][()] for key in group}
    for number, version in enumerate((("earliest", "v108"), ("v108", "v108"), ("v110", "v110"))):
        path = tmp_path / f"old{number}.h5"
        with h5py.File(path, "w", libver=version) as file:
            group = file.create_group("TransformGroup/0")
            text = h5py.string_dtype("ascii")
            group.create_dataset("TransformType", data=values["TransformType"], dtype=text)
            for key in ("TransformParameters", "TransformFixedParameters"):
                name = key.replace("Transform", "Tranform")
                packed = {"compression": "gzip", "chunks": (100,)} if number < 2 else {}
                packed = packed if len(values[key]) > 100 else {}
                group.create_dataset(name, data=values[key], **packed)
        np.testing.assert_array_equal(load(path).coefficients, spline.coefficients)
