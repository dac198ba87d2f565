"""What MetaImage and NRRD say of units, frames and kinds, which ITK passes over."""

import warnings

import numpy as np
import pytest
import SimpleITK as sitk
from test_reading import metaimage, nrrd

from tfreg import io, transforms
from tfreg.errors import InputError, InputWarning

SIZE, BYTES = "4 3 2", bytes(range(24))
OBLIQUE = "0.8 0.6 0 -0.6 0.8 0 0 0 1"
PLACE = {"space_directions": "(0,2,0) (0,0,3) (4,0,0)", "space_origin": "(10,20,30)"}


def read(folder, name, content, silent=True):
    (folder / name).write_bytes(content)
    with warnings.catch_warnings():
        if silent:
            warnings.simplefilter("error")
        return io.read(folder / name)


def last(image):
    return image.geometry.to_physical(np.array(image.geometry.shape) - 1)


@pytest.mark.parametrize(
    ("unit", "scale"), [("mm", 1), ("um", 1e-3), ("cm", 10), ("m", 1e3), ("nm", 1e-6), ("?", 1)]
)
def test_units_of_metaimage(tmp_path, unit, scale):
    fields = {"ElementSpacing": "1 2 3", "Offset": "5 6 7", "TransformMatrix": OBLIQUE}
    plain = read(tmp_path, "a.mha", metaimage(SIZE, BYTES, **fields))
    found = read(tmp_path, "b.mha", metaimage(SIZE, BYTES, **fields, DistanceUnits=unit))
    np.testing.assert_allclose(last(found), scale * last(plain), rtol=1e-12)
    np.testing.assert_allclose(found.geometry.spacing, np.multiply((1, 2, 3), scale))
    np.testing.assert_array_equal(found.array, plain.array)
    expected = sitk.ReadImage(str(tmp_path / "a.mha")).TransformIndexToPhysicalPoint((3, 2, 1))
    np.testing.assert_allclose(last(plain), expected)


@pytest.mark.parametrize("name", ["TransformMatrix", "Rotation", "Orientation"])
def test_names_of_the_direction_of_metaimage(tmp_path, name):
    found = read(tmp_path, "a.mha", metaimage(SIZE, BYTES, **{name: OBLIQUE}))
    np.testing.assert_allclose(
        np.transpose(found.geometry.direction).ravel(), [*map(float, OBLIQUE.split())]
    )


@pytest.mark.parametrize("name", ["Offset", "Position", "Origin"])
def test_names_of_the_origin_of_metaimage(tmp_path, name):
    assert read(tmp_path, "a.mha", metaimage(SIZE, BYTES, **{name: "5 6 7"})).geometry.origin == (
        5,
        6,
        7,
    )


def test_spacing_of_metaimage_is_from_centre_to_centre(tmp_path):
    sized = metaimage(SIZE, BYTES, ElementSize="1 2 3")
    assert read(tmp_path, "a.mha", sized).geometry.spacing == (1, 2, 3)
    both = metaimage(SIZE, BYTES, ElementSize="1 2 3", ElementSpacing="1 2 5")  # slices with gaps
    assert read(tmp_path, "a.mha", both).geometry.spacing == (1, 2, 5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Offset": "1 2 3", "Position": "1 2 4"}, "Offset and Position differ"),
        ({"TransformMatrix": OBLIQUE, "Rotation": "1 0 0 0 1 0 0 0 1"}, "Rotation differ"),
        ({"DistanceUnits": "inch"}, "lengths in m, cm, mm, um or nm. Received: 'inch'"),
    ],
)
def test_contradictions_of_metaimage(tmp_path, fields, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, "a.mha", metaimage(SIZE, BYTES, **fields))
    if "Position" in fields:
        read(tmp_path, "a.mha", metaimage(SIZE, BYTES, Offset="1 2 3", Position="1.0 2 3"))


def test_letters_of_metaimage_that_its_matrix_contradicts(tmp_path, rng):
    for _ in range(12):  # as ITK writes them
        axes = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3)
        image = sitk.GetImageFromArray(np.zeros((2, 3, 4), "uint8"))
        image.SetDirection(axes.ravel().tolist())
        sitk.WriteImage(image, str(tmp_path / "a.mha"))
        assert b"AnatomicalOrientation" in (tmp_path / "a.mha").read_bytes()
        read(tmp_path, "b.mha", (tmp_path / "a.mha").read_bytes())
    read(tmp_path, "a.mha", metaimage(SIZE, BYTES, AnatomicalOrientation="???"))
    for matrix, what in (
        ({}, "no TransformMatrix"),
        ({"Rotation": "1 0 0 0 1 0 0 0 1"}, "its Rotation"),
    ):
        content = metaimage(SIZE, BYTES, AnatomicalOrientation="LAI", **matrix)
        with pytest.warns(InputWarning, match=f"AnatomicalOrientation = LAI, and {what}.* RAI"):
            found = read(tmp_path, "a.mha", content, silent=False)
        assert found.geometry.direction == ((1, 0, 0), (0, 1, 0), (0, 0, 1))


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (1, 1, 1)), ("LPS", (1, 1, 1)), ("RAS", (-1, -1, 1)),
        ("right-anterior-superior", (-1, -1, 1)), ("LAS", (1, -1, 1)),
        ("left-anterior-superior", (1, -1, 1)),
    ],
)  # fmt: skip
def test_spaces_of_nrrd(tmp_path, space, signs):
    found = read(tmp_path, "a.nrrd", nrrd(SIZE, BYTES, space=space, **PLACE))
    np.testing.assert_allclose(last(found), np.multiply((14, 26, 36), signs))
    np.testing.assert_array_equal(found.array.ravel(), list(BYTES))


@pytest.mark.parametrize("space", ["RAST", "left-anterior-superior-time", "LPST"])
def test_spaces_of_nrrd_with_time(tmp_path, space):
    place = {
        "space_directions": "(1,0,0,0) (0,2,0,0) (0,0,3,0) (0,0,0,40)",
        "space_origin": "(10,20,30,0)",
    }
    content = nrrd("2 2 2 3", BYTES, space=space, kinds="domain domain domain time", **place)
    with pytest.raises(InputError, match="series of 3 frames"):
        read(tmp_path, "a.nrrd", content)
    frames = io.read_frames(tmp_path / "a.nrrd")
    sign = {"R": (-1, -1, 1), "l": (1, -1, 1), "L": (1, 1, 1)}[space[0]]
    np.testing.assert_allclose(last(frames[2]), np.multiply((11, 22, 33), sign))
    assert frames[2].array.ravel().tolist() == [*range(16, 24)]


@pytest.mark.parametrize("space", ["scanner-xyz", "3D-right-handed"])
def test_spaces_of_nrrd_of_no_patient(tmp_path, space):
    with pytest.warns(InputWarning, match=f"in the space {space.lower()}, of no patient"):
        found = read(tmp_path, "a.nrrd", nrrd(SIZE, BYTES, space=space, **PLACE), silent=False)
    np.testing.assert_allclose(last(found), (14, 26, 36))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"space": "3D-left-handed", **PLACE}, "the space LPS, RAS or LAS. Received: '3d-left"),
        ({"space": "LPS", **PLACE, "space_units": '"mm" "px" "mm"'}, "Received: 'px'"),
        ({"spacings": "1 2 3", "units": '"mm" "mm" "furlong"'}, "Received: 'furlong'"),
        ({"kinds": "time domain domain"}, "time as its last axis. Received: kinds"),
        ({"kinds": "domain domain time"}, "series of 2 frames"),
        ({"kinds": "domain domain list"}, "Received: 2 channels"),
        ({"kinds": "domain domain"}, "kinds must be 3 words"),
        (
            {"space": "LPS", "space_directions": "(1,0,0) (0,1,0) none"},
            r"an axis without a direction must be of some other kind. Received: \?\?\?",
        ),
        (
            {
                "space": "LPS",
                "space_directions": "(1,0,0) (0,1,0) none",
                "kinds": "domain domain time",
            },
            "axis of time a space direction, or be a file per frame",
        ),
        ({"axis_mins": "0 0 0", "axis_maxs": "8 6 6"}, "spacings or space directions"),
    ],
)
def test_what_nrrd_says_is_not_passed_over(tmp_path, fields, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, "a.nrrd", nrrd(SIZE, BYTES, **fields))


@pytest.mark.parametrize(
    ("unit", "scale"), [("mm", 1), ("um", 1e-3), ("microns", 1e-3), ("m", 1e3)]
)
def test_units_of_nrrd(tmp_path, unit, scale):
    units = " ".join([f'"{unit}"'] * 3)
    content = nrrd(SIZE, BYTES, space="RAS", **PLACE, space_units=units)
    found = read(tmp_path, "a.nrrd", content)
    np.testing.assert_allclose(last(found), np.multiply((-14, -26, 36), scale))
    np.testing.assert_allclose(found.geometry.spacing, np.multiply((2, 3, 4), scale))
    found = read(tmp_path, "a.nrrd", nrrd(SIZE, BYTES, spacings="1 2 3", units=units))
    np.testing.assert_allclose(found.geometry.spacing, np.multiply((1, 2, 3), scale))


def test_frames_of_two_axes_in_nrrd(tmp_path):
    content = nrrd(SIZE, BYTES, kinds="domain domain time", spacings="1 2 40")
    (tmp_path / "a.nrrd").write_bytes(content)
    frames = io.read_frames(tmp_path / "a.nrrd")
    assert [frame.array.tolist() for frame in frames] == np.reshape([*BYTES], (2, 3, 4)).tolist()
    assert frames[1].geometry.spacing == (1, 2)


def test_vectors_of_nrrd_are_along_lps(tmp_path):
    place = {
        "space": "LPS",
        "kinds": "vector domain domain domain",
        "type": "float",
        "endian": "little",
    }
    place["space_directions"] = "none (1,0,0) (0,1,0) (0,0,1)"
    size, content = "3 2 2 2", bytes(24 * 4)
    path = tmp_path / "u.nrrd"
    for fields, message in (
        ({"space": "RAS"}, "vectors in the space LPS. Received: space ras"),
        ({"space": "LPS", "measurement_frame": "(0,1,0) (1,0,0) (0,0,1)"}, "along x, y, z"),
        ({"space": "LPS", "space_units": '"um" "um" "um"'}, "a displacement in mm"),
    ):
        path.write_bytes(nrrd(size, content, **{**place, **fields}))
        with pytest.raises(InputError, match=message):
            transforms.load(path)
    frame = "(1,0,0) (0,1,0) (0,0,1)"
    path.write_bytes(nrrd(size, content, **place, measurement_frame=frame))
    assert transforms.load(path).field.shape == (2, 2, 2, 3)


def test_vectors_of_metaimage_are_in_mm(tmp_path):
    path = tmp_path / "u.mha"
    fields = {"ElementNumberOfChannels": 2, "ElementType": "MET_FLOAT", "DistanceUnits": "cm"}
    path.write_bytes(metaimage("4 3", bytes(96), **fields))
    with pytest.raises(InputError, match="a displacement in mm"):
        transforms.load(path)
    fields["DistanceUnits"] = "mm"
    path.write_bytes(metaimage("4 3", bytes(96), **fields))
    assert transforms.load(path).field.shape == (3, 4, 2)
    with pytest.raises(InputError, match="Received: 2 channels"):  # never a third axis
        io.read(path)


@pytest.mark.parametrize(("name", "header"), [("a.mhd", metaimage), ("a.nhdr", nrrd)])
def test_voxels_in_another_file_that_is_too_short(tmp_path, name, header):
    content = header(SIZE, b"")
    if name == "a.mhd":
        content = content.replace(b"LOCAL", b"a.raw")
    else:
        content = content.replace(b"encoding", b"data file: a.raw\nencoding")
    (tmp_path / "a.raw").write_bytes(BYTES)
    assert read(tmp_path, name, content).array.ravel().tolist() == list(BYTES)
    (tmp_path / "a.raw").write_bytes(BYTES[:-1])
    with pytest.raises(InputError, match=r"asks for 24 bytes of voxels. Received: 23 bytes"):
        read(tmp_path, name, content)
