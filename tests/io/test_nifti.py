"""NIfTI files against nibabel: places stated twice, shear, units, scaling, pairs of files."""

import gzip
import struct
import warnings

import numpy as np
import pytest

from tfreg import io, transforms
from tfreg.errors import InputError, InputWarning

nib = pytest.importorskip("nibabel")
RAS = np.diag([-1.0, -1, 1])
SHAPE = (5, 4, 3)  # x, y, z
VOXELS = np.arange(60, dtype="int16").reshape(SHAPE)
AFFINE = np.array([[2.0, 0, 0, -20], [0, 3, 0, -30], [0, 0, 4, -10], [0, 0, 0, 1]])


def save(path, sform=None, qform=None, voxels=VOXELS, **patches):
    """A file with these forms, ``None`` of which has code 0, and bytes put at offsets."""
    image = nib.Nifti1Image(voxels, np.eye(4))
    image.set_sform(sform, 0 if sform is None else 2)
    image.set_qform(qform, 0 if qform is None else 1)
    if sform is not None and qform is None:
        image.header["pixdim"][1:4] = np.linalg.norm(sform[:3, :3], axis=0)
    nib.save(image, path)
    packed = path.name.endswith(".gz")
    content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    for offset, (form, *values) in patches.items():
        struct.pack_into(f"<{form}", content, int(offset[1:]), *values)
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


def last(image):
    """The point of the last voxel of an image, RAS."""
    return RAS @ image.geometry.to_physical(np.array(image.geometry.shape) - 1)


def by_nibabel(path):
    return (nib.load(path).affine @ [*(np.array(SHAPE) - 1), 1])[:3]


def silently(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return function(*arguments, **options)


def moved(affine, mm):
    affine = affine.copy()
    affine[1, 3] += mm
    return affine


def test_statements_that_agree_are_taken_without_a_word(tmp_path, rng):
    for _ in range(20):
        rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        affine = np.eye(4)
        affine[:3] = np.column_stack([rotation * rng.uniform(0.5, 4, 3), rng.normal(0, 50, 3)])
        for forms in ({"sform": affine}, {"qform": affine}, {"sform": affine, "qform": affine}):
            path = save(tmp_path / "a.nii", **forms)
            image = silently(io.read, path)
            np.testing.assert_allclose(last(image), by_nibabel(path), atol=1e-4)
            np.testing.assert_array_equal(image.array, VOXELS.T)
    # less than a tenth of a voxel is rounding
    silently(io.read, save(tmp_path / "a.nii", AFFINE, moved(AFFINE, 0.29)))


def test_a_qform_elsewhere_is_named_with_its_distance_and_can_be_chosen(tmp_path):
    path = save(tmp_path / "a.nii.gz", AFFINE, moved(AFFINE, 6))
    with pytest.warns(InputWarning) as found:
        image = io.read(path)
    assert [str(one.message) for one in found] == [
        f"{path} states its place more than once: its sform is taken, its qform up to 6 mm from "
        "it; --nifti-space qform (in Python nifti_space=) takes that instead"
    ]
    np.testing.assert_allclose(last(image), by_nibabel(path))
    np.testing.assert_allclose(last(silently(io.read, path, nifti_space="sform")), last(image))
    found = silently(io.read, path, nifti_space="qform")
    np.testing.assert_allclose(last(found) - last(image), [0, 6, 0], atol=1e-5)
    frames = silently(io.read_frames, path, nifti_space="qform")
    assert len(frames) == 3
    np.testing.assert_array_equal(silently(io.read_image, path), VOXELS.T)  # no place is asked for


def test_labels_by_nibabel_meet_their_image(tmp_path):
    path = save(tmp_path / "a.nii.gz", AFFINE, moved(AFFINE, 6))
    source = nib.load(path)
    nib.save(nib.Nifti1Image((VOXELS > 9).astype("u1"), source.affine), tmp_path / "l.nii.gz")
    with pytest.warns(InputWarning, match="qform up to 6 mm"):
        image = io.read(path)
    assert silently(io.read, tmp_path / "l.nii.gz").geometry.matches(image.geometry)
    io.write(image, tmp_path / "b.nii.gz")
    header = nib.load(tmp_path / "b.nii.gz").header
    np.testing.assert_allclose(header.get_qform(), header.get_sform(), atol=1e-5)
    np.testing.assert_allclose(header.get_sform(), source.affine, atol=1e-5)


@pytest.mark.parametrize(
    ("pixdim", "distance"), [((1, 1, 1), "9.38"), ((2, 3, 3), "2"), ((1.37, 3, 4), "2.52")]
)
def test_voxel_sizes_other_than_those_of_the_sform(tmp_path, pixdim, distance):
    path = save(tmp_path / "a.nii", AFFINE, p80=("3f", *pixdim))
    with pytest.warns(InputWarning, match=f"its pixdim up to {distance} mm from it; .* pixdim"):
        image = io.read(path)
    np.testing.assert_allclose(last(image), by_nibabel(path))
    assert image.geometry.spacing == (2, 3, 4)
    found = silently(io.read, path, nifti_space="pixdim").geometry
    np.testing.assert_allclose(found.spacing, pixdim, rtol=1e-6)
    assert found.origin == image.geometry.origin and found.direction == image.geometry.direction
    with pytest.raises(InputError, match=r"states no qform. Received: nifti_space='qform'"):
        io.read(path, nifti_space="qform")


@pytest.mark.parametrize("value", ["scanner", "SFORM", ""])
def test_a_space_that_there_is_not(tmp_path, value):
    with pytest.raises(InputError, match="nifti_space must be sform, qform or pixdim"):
        io.read(save(tmp_path / "a.nii", AFFINE), nifti_space=value)


@pytest.mark.parametrize("shear", [1e-6, 1e-4, 1e-3, 0.05, 0.5])
def test_sheared_axes_are_read_and_written(tmp_path, shear):
    affine = AFFINE.copy()
    affine[0, 1] = 2 * shear
    path = save(tmp_path / "a.nii", affine)
    image = silently(io.read, path)
    np.testing.assert_allclose(last(image), by_nibabel(path), atol=1e-5)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        io.write(image, tmp_path / "b.nii.gz")
    assert len(said) == int(2 * shear / 3 > 1e-4)
    back = silently(io.read, tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(back.array, image.array)
    np.testing.assert_allclose(last(back), last(image), atol=1e-3)
    np.testing.assert_allclose(by_nibabel(tmp_path / "b.nii.gz"), last(image), atol=1e-3)
    np.testing.assert_array_equal(nib.load(tmp_path / "b.nii.gz").dataobj, VOXELS)


def test_a_sheared_sform_beside_a_qform_that_cannot_hold_it(tmp_path):
    affine = AFFINE.copy()
    affine[1, 2] = 0.9
    path = save(tmp_path / "a.nii", affine, AFFINE)
    with pytest.warns(InputWarning, match="its qform up to "):
        image = io.read(path)
    np.testing.assert_allclose(last(image), by_nibabel(path), atol=1e-5)


def test_no_statement_but_the_voxel_sizes(tmp_path):
    path = save(tmp_path / "a.nii", p80=("3f", 2, 3, 4))
    with pytest.warns(InputWarning, match=r"does not say where it is .* as nibabel does"):
        image = io.read(path)
    np.testing.assert_allclose(last(image), by_nibabel(path))
    assert image.geometry.spacing == (2, 3, 4)


def test_a_single_slice_without_a_thickness(tmp_path):
    slice = VOXELS[:, :, :1]
    path = save(tmp_path / "a.nii", qform=AFFINE, voxels=slice, p88=("f", 0))
    with pytest.warns(InputWarning, match="a single voxel along z, of size 0: taken for 1"):
        assert io.read(path).geometry.spacing == (2, 3, 1)
    path = save(tmp_path / "a.nii", AFFINE, voxels=slice, p88=("f", 0))
    assert silently(io.read, path).geometry.spacing == (2, 3, 4)  # which the sform says
    path = save(tmp_path / "a.nii", qform=AFFINE, p88=("f", 0))
    with pytest.raises(InputError, match="spacing must be positive"):
        io.read(path)
    path = save(tmp_path / "a.nii", AFFINE, p88=("f", 0))
    with pytest.warns(InputWarning, match=r"spacing must be positive.*Its sform is taken"):
        assert io.read(path).geometry.spacing == (2, 3, 4)


def test_an_unusable_qform_matters_only_where_it_counts(tmp_path):
    broken = {"p256": ("3f", 0.9, 0.9, 0.9)}
    with pytest.raises(InputError, match="quaternion must not be longer than 1"):
        io.read(save(tmp_path / "a.nii", qform=AFFINE, **broken))
    path = save(tmp_path / "a.nii", AFFINE, AFFINE, **broken)
    with pytest.warns(InputWarning, match="longer than 1.*Its sform is taken"):
        np.testing.assert_allclose(last(io.read(path)), (AFFINE @ [4, 3, 2, 1])[:3])


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 7])
def test_units_of_length_become_millimetres(tmp_path, code):
    for forms in ({"sform": AFFINE}, {"qform": AFFINE}):
        path = save(tmp_path / "a.nii", **forms, p123=("B", code | 8))
        if code > 3:
            with pytest.raises(InputError, match=f"m, mm or microns. Received: xyzt_units {code}"):
                io.read(path)
            continue
        scale = {1: 1e3, 3: 1e-3}.get(code, 1)
        np.testing.assert_allclose(last(io.read(path)), scale * by_nibabel(path), rtol=1e-6)


@pytest.mark.parametrize(
    ("slope", "intercept"),
    [(1, 0), (0, 5), (np.nan, 5), (np.inf, 5), (2, 0), (1, -7), (0.5, 10), (-3, 1)],
)
@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8"])
def test_scaling_is_that_of_nibabel(tmp_path, kind, slope, intercept):
    top = np.iinfo(kind).max if kind[0] != "f" else 1e6
    voxels = (VOXELS[:] * (top / 60)).astype(kind)
    path = save(tmp_path / "a.nii", AFFINE, voxels=voxels, p112=("2f", slope, intercept))
    found, expected = io.read(path).array, np.asarray(nib.load(path).dataobj).T
    np.testing.assert_allclose(found, expected, rtol=2e-7, atol=1e-5)
    if kind == "i4":
        np.testing.assert_array_equal(found, expected)


def test_an_intercept_that_is_no_number(tmp_path):
    path = save(tmp_path / "a.nii", AFFINE, p112=("2f", 2, np.nan))
    with pytest.raises(InputError, match=r"scl_inter must be finite beside a slope. Received: nan"):
        io.read(path)


@pytest.mark.parametrize(
    ("code", "bits", "message"),
    [(1, 1, "single bits"), (1536, 128, "floats of 128 bits"), (1792, 128, "complex"),
     (2048, 256, "complex"), (2304, 32, "4 channels")],
)  # fmt: skip
def test_types_that_are_no_real_numbers_of_64_bits(tmp_path, code, bits, message):
    path = save(tmp_path / "a.nii", AFFINE, p70=("2h", code, bits))
    path.write_bytes(path.read_bytes() + bytes(60 * 32))
    with pytest.raises(InputError, match=f"Received: {message}"):
        io.read(path)


def test_time_and_channels_are_never_z(tmp_path, rng):
    voxels = rng.integers(0, 99, (5, 4, 1, 6)).astype("i2")
    path = save(tmp_path / "a.nii", AFFINE, voxels=voxels)
    with pytest.raises(InputError, match="series of 6 frames"):
        io.read(path)
    frames = io.read_frames(path)
    assert len(frames) == 6 and frames[0].array.shape == (4, 5)
    np.testing.assert_array_equal(frames[2].array, voxels[:, :, 0, 2].T)
    path = save(tmp_path / "b.nii", AFFINE, voxels=voxels.reshape(5, 4, 1, 1, 6))
    for read in (io.read, io.read_frames):
        with pytest.raises(InputError, match="Received: 6 channels"):
            read(path)
    path = save(tmp_path / "c.nii", AFFINE, voxels=voxels[:, :, :, :1, None, None])  # axes of one
    assert io.read(path).array.shape == (1, 4, 5)


@pytest.mark.parametrize("kind", ["f4", "u1", "i2", "i4"])
@pytest.mark.parametrize("intent", [1006, 1007])
def test_scaled_vectors(tmp_path, rng, kind, intent):
    vectors = rng.normal(2, 0.1, (*SHAPE, 1, 3)).astype("f4")
    image = nib.Nifti1Image(vectors, AFFINE)
    image.header["intent_code"] = intent
    image.set_data_dtype(kind)
    nib.save(image, tmp_path / "u.nii.gz")
    found = silently(transforms.load, tmp_path / "u.nii.gz")
    stored = np.asarray(nib.load(tmp_path / "u.nii.gz").dataobj)[:, :, :, 0].transpose(2, 1, 0, 3)
    expected = stored * (np.diag(RAS) if intent == 1006 else 1)  # RAS in the file
    np.testing.assert_allclose(found.field, expected, atol=1e-5)
    np.testing.assert_allclose(RAS @ found.geometry.to_physical([2, 3, 4]), [-12, -21, -2])


def test_a_displacement_in_other_units_is_refused(tmp_path):
    vectors = np.ones((*SHAPE, 1, 3), "f4")
    path = save(tmp_path / "u.nii", AFFINE, voxels=vectors, p123=("B", 3))
    with pytest.raises(InputError, match="must hold a displacement in mm"):
        transforms.load(path)


def test_the_place_of_a_displacement_can_be_chosen(tmp_path):
    path = save(tmp_path / "u.nii", AFFINE, moved(AFFINE, 6), np.ones((*SHAPE, 1, 3), "f4"))
    with pytest.warns(InputWarning, match="its qform up to 6 mm"):
        found = transforms.load(path)
    other = silently(transforms.load, path, nifti_space="qform")
    np.testing.assert_allclose(
        np.subtract(other.geometry.origin, found.geometry.origin), [0, -6, 0], atol=1e-5
    )


@pytest.mark.parametrize("end", [".img", ".img.gz"])
def test_a_header_with_its_voxels_in_another_file(tmp_path, end):
    pair = nib.Nifti1Pair(VOXELS, AFFINE)
    nib.save(pair, tmp_path / "a.img")
    content = (tmp_path / "a.img").read_bytes()
    (tmp_path / "a.img").unlink()
    with pytest.raises(InputError, match=r"needs its voxels in a file beside it.*no a\.img"):
        io.read(tmp_path / "a.hdr")
    pack = gzip.compress if end.endswith(".gz") else bytes
    (tmp_path / f"a{end}").write_bytes(pack(content))
    image = silently(io.read, tmp_path / "a.hdr")
    np.testing.assert_array_equal(image.array, VOXELS.T)
    np.testing.assert_allclose(last(image), (AFFINE @ [4, 3, 2, 1])[:3])
    (tmp_path / f"a{end}").write_bytes(pack(content[:100]))
    with pytest.raises(InputError, match=r"asks for 120 bytes of voxels. Received: 100 bytes"):
        io.read(tmp_path / "a.hdr")
    with pytest.raises(InputError, match=r"can be written as \.nii, \.nii\.gz, \.mha"):
        io.write(image, tmp_path / "b.hdr")


def test_nifti_2_is_named(tmp_path):
    nib.save(nib.Nifti2Image(VOXELS, AFFINE), tmp_path / "a.nii")
    with pytest.raises(InputError, match="it is NIfTI-2, and NIfTI-1 is needed"):
        io.read(tmp_path / "a.nii")


def test_a_slice_of_two_axes_lies_across_z(tmp_path):
    path = save(tmp_path / "a.nii", AFFINE, voxels=VOXELS[:, :, 0])
    found = silently(io.read, path).geometry
    assert (found.spacing, found.origin) == ((2, 3), (20, 30))
    assert found.direction == ((-1, 0), (0, -1))
    upright = AFFINE[:, [0, 2, 1, 3]]
    with pytest.raises(InputError, match="is 2-D and must lie across the z axis"):
        io.read(save(tmp_path / "a.nii", upright, voxels=VOXELS[:, :, 0]))


@pytest.mark.parametrize("kind", ["i2", "f4"])
def test_a_scaling_far_from_zero_keeps_its_steps(tmp_path, kind):
    voxels = VOXELS.astype(kind)
    path = save(tmp_path / "a.nii", AFFINE, voxels=voxels, p112=("2f", 1e-6, 1000))
    found = io.read(path).array
    assert found.dtype == "float64"
    steps = voxels.T.astype("float64") * np.float32(1e-6)
    np.testing.assert_allclose(found - 1000, steps, atol=1e-3 * np.ptp(steps))
