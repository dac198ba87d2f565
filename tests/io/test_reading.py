import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from test_geometry import random_geometry

from tfreg import io
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image

WITH_PLACE = ("nii", "nii.gz", "mha", "mhd", "nrrd", "nhdr")


@pytest.mark.parametrize("suffix", WITH_PLACE)
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("compress", [False, True])
def test_reads_what_sitk_wrote(tmp_path, suffix, ndim, compress):
    rng = np.random.default_rng(0)
    path = tmp_path / f"image.{suffix}"
    for dtype in ("uint8", "int16", "float32", "float64"):
        geometry = random_geometry(rng, ndim)
        image = Image((50 * rng.normal(size=geometry.shape)).astype(dtype), geometry)
        sitk.WriteImage(image.to_sitk(), str(path), useCompression=compress)
        found = io.read(path)
        assert found.array.dtype == dtype
        np.testing.assert_array_equal(found.array, image.array)
        assert found.geometry.matches(geometry)
        np.testing.assert_array_equal(io.read_image(path), image.array)


def write_raw(path, header, payload=b""):
    path.write_bytes(header.encode() + payload)


def metaimage(size="4 3", payload=b"\1" * 12, **fields):
    lines = {"ObjectType": "Image", "NDims": len(size.split()), "DimSize": size}
    lines |= {"ElementType": "MET_UCHAR", **fields, "ElementDataFile": "LOCAL"}
    return "".join(f"{k} = {v}\n" for k, v in lines.items()).encode() + payload


def nrrd(size="4 3", payload=b"\1" * 12, **fields):
    lines = {"type": "uchar", "dimension": len(size.split()), "sizes": size, "encoding": "raw"}
    lines |= {key.replace("_", " "): value for key, value in fields.items()}
    return (
        "NRRD0004\n" + "".join(f"{k}: {v}\n" for k, v in lines.items()) + "\n"
    ).encode() + payload


def nifti(size=(4, 3), payload=b"\1" * 12, kind=2, spacing=1.0, **at):
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into(f"<{len(size) + 1}h", head, 40, len(size), *size)
    struct.pack_into("<hh", head, 70, kind, 8)
    struct.pack_into("<8f", head, 76, *[spacing] * 8)
    struct.pack_into("<f", head, 108, at.pop("offset", 352.0))
    head[344:348] = at.pop("magic", b"n+1\0")
    if "sform" in at:
        struct.pack_into("<hh", head, 252, 0, 1)
        struct.pack_into("<12f", head, 280, *at.pop("sform"))
    return bytes(head) + payload


GIB = 1 << 30


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mha", metaimage("4 4"), "truncated.*16 bytes.*Received: 12 bytes"),
        ("a.mha", metaimage("2000000000 2000000000"), "truncated.*Received: 12 bytes"),
        ("a.mha", metaimage("4 0"), "at least one voxel"),
        ("a.mha", metaimage("4 -3"), "at least one voxel"),
        ("a.mha", metaimage("4"), "2 to 4 axes"),
        ("a.mha", metaimage("1 1 1 1 1 12"), "2 to 4 axes.*NDims = 6"),
        ("a.mha", metaimage(DimSize="4 3 2"), "DimSize must be 2 numbers"),
        ("a.mha", metaimage(DimSize="four 3"), "DimSize must be numbers"),
        ("a.mha", metaimage(ElementSpacing="1 0"), r"spacing must be positive.*\(1\.0, 0\.0\)"),
        ("a.mha", metaimage(ElementSpacing="1 -2"), "spacing must be positive"),
        ("a.mha", metaimage(ElementSpacing="1 nan"), "spacing must be positive"),
        ("a.mha", metaimage(TransformMatrix="1 2 2 4"), "direction is singular"),
        ("a.mha", metaimage(TransformMatrix="0 0 0 0"), "direction is singular"),
        ("a.mha", metaimage(Offset="inf 0"), "Offset must be finite"),
        ("a.mha", metaimage(DistanceUnits="inch"), "m, cm, mm, um or nm. Received: 'inch'"),
        ("a.mha", metaimage(ElementType="MET_OTHER"), "ElementType"),
        ("a.mha", metaimage(ElementNumberOfChannels=3, DimSize="2 2"), "Received: 3 channels"),
        ("a.mha", metaimage(CompressedData="True", CompressedDataSize=GIB), "truncated"),
        ("a.mha", metaimage(CompressedData="True"), "damaged"),
        ("a.mha", metaimage(BinaryData="False"), "binary"),
        ("a.mha", metaimage(HeaderSize=GIB), "truncated"),
        ("a.mha", b"NDims = 2\nDimSize = 3 4\n", "no ElementDataFile"),
        ("a.mha", metaimage("4 3 1 2", b"\1" * 24), "series of 2 frames.*read_frames"),
        ("a.mhd", metaimage().replace(b"LOCAL", b"gone.raw"), "missing.*gone.raw"),
        ("a.mhd", metaimage().replace(b"LOCAL", b"LIST"), "one file"),
        ("a.mhd", metaimage().replace(b"LOCAL", b"a.mhd"), "names itself"),
        ("a.mhd", metaimage().replace(b"LOCAL", b"/dev/zero"), "missing"),
        ("a.nrrd", nrrd("4 4"), "truncated.*16 bytes.*Received: 12 bytes"),
        ("a.nrrd", nrrd("2000000000 2000000000"), "truncated"),
        ("a.nrrd", nrrd("4 0"), "at least one voxel"),
        ("a.nrrd", nrrd(spacings="1 0"), "spacing must be positive"),
        ("a.nrrd", nrrd(spacings="1 -1"), "spacing must be positive"),
        ("a.nrrd", nrrd(space_directions="(1,2) (2,4)"), "direction is singular"),
        ("a.nrrd", nrrd(space_directions="(1,0) (0,0)"), "spacing must be positive"),
        ("a.nrrd", nrrd(space_directions="(1,0)"), "2 vectors"),
        ("a.nrrd", nrrd(units='"px" "px"'), "m, cm, mm, um or nm. Received: 'px'"),
        ("a.nrrd", nrrd(type="block"), "type must be"),
        ("a.nrrd", nrrd(encoding="bzip2"), "raw or gzip"),
        ("a.nrrd", nrrd(encoding="gzip"), "damaged"),
        ("a.nrrd", nrrd(dimension=20), "2 to 5 axes"),
        ("a.nrrd", nrrd("3 2 2", kinds="vector domain domain"), "Received: 3 channels"),
        ("a.nhdr", nrrd(data_file="gone.raw"), "missing.*gone.raw"),
        ("a.nhdr", nrrd(data_file="LIST"), "one file"),
        ("a.nii", nifti((4, 4)), "truncated.*16 bytes.*Received: 12 bytes"),
        ("a.nii", nifti((32767, 32767, 32767)), "truncated"),
        ("a.nii", nifti((4, -3)), "at least one voxel"),
        ("a.nii", nifti((1, 1, 1, 1, 1, 3)), "2 to 5 axes"),
        ("a.nii", nifti(spacing=0), "spacing must be positive"),
        ("a.nii", nifti(spacing=-1), "spacing must be positive"),
        ("a.nii", nifti(kind=32, payload=b"0" * 96), "complex"),
        ("a.nii", nifti(kind=128, payload=b"0" * 36), "Received: 3 channels"),
        ("a.nii", nifti(kind=99), "datatype is unknown"),
        ("a.nii", nifti(offset=1e9), "truncated"),
        ("a.nii", nifti(offset=-8), "vox_offset"),
        ("a.nii", nifti(offset=0), "vox_offset must be a number of bytes from 352. Received: 0.0"),
        ("a.nii", nifti((4, 3, 1), sform=[0.0] * 12), "direction is singular"),
        ("a.nii", nifti((4, 3, 1), sform=[np.nan] * 12), "sform must be finite"),
        ("a.nii", nifti(magic=b"ni1\0"), "one file"),
        ("a.nii", b"x" * 400, "no NIfTI-1 header"),
        ("a.nii", b"x" * 40, "truncated"),
        ("a.nii.gz", b"x" * 400, "cannot|not an image"),
        ("a.nii.gz", gzip.compress(nifti((32767, 32767, 32767)), mtime=0), "truncated"),
        ("a.nii.gz", gzip.compress(nifti((4, 4)), mtime=0), "truncated.*Received: 364 bytes"),
        ("a.nii.gz", gzip.compress(nifti(), mtime=0)[:-4], "checksum"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "PNG header"),
        ("a.tif", b"II*\0\x08\0\0\0", "truncated"),
        ("a.bmp", b"BM" + bytes(70), "broken header"),
        ("a.jpg", b"\xff\xd8" + bytes(70), "truncated"),
        ("a.dcm", b"\0" * 128 + b"DICM", "without an image"),
        ("a.xyz", b"what", r"can be read as \.nii, \.nii\.gz.*a\.xyz"),
        ("a", b"what", "can be read as"),
    ],
)
def test_headers_that_lie_are_refused_in_one_line(tmp_path, capfd, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        io.read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_the_small_headers_of_these_tests_are_right_otherwise(tmp_path):
    for name, content in (
        ("a.mha", metaimage(ElementSpacing="1 2")),
        ("a.nrrd", nrrd(spacings="1 2")),
        ("a.nii", nifti()),
        ("a.nii.gz", gzip.compress(nifti()[:100], mtime=0) + gzip.compress(nifti()[100:], mtime=0)),
    ):
        (tmp_path / name).write_bytes(content)
        assert io.read(tmp_path / name).array.tolist() == [[1] * 4] * 3


@pytest.mark.parametrize(
    "suffix", ["nii", "nii.gz", "mha", "nrrd", "png", "tif", "npy", "jpg", "bmp"]
)
def test_a_truncated_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (30, 40)).astype("uint8")
    if suffix == "npy":
        np.save(path, noise)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(noise), str(path))
    whole = path.read_bytes()
    for share in (0.3, 0.7, 0.9 if suffix == "tif" else 0.98):  # text follows the pixels of TIFF
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError) as error:
            io.read(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["mha", "nii.gz", "npy"])
def test_voxels_that_are_not_finite_are_counted(tmp_path, suffix):
    array = np.zeros((4, 5), "float32")
    array[0, :3], array[2, 1] = np.nan, -np.inf
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, array)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    with pytest.raises(InputError, match="3 NaN and 1 infinite of 20 voxels"):
        io.read(path)
    with pytest.raises(InputError, match="3 NaN and 1 infinite"):
        io.read_frames(path if suffix != "npy" else _saved(tmp_path, array[None]))


def _saved(folder, array):
    np.save(folder / "frames.npy", array)
    return folder / "frames.npy"


def test_nifti_scales_and_its_affine_count(tmp_path):
    content = bytearray(nifti((4, 3, 2), b"\2" * 24, sform=[0, -2, 0, 5, 1, 0, 0, 6, 0, 0, 3, 7]))
    struct.pack_into("<2f", content, 112, 0.5, 10.0)  # slope and intercept
    struct.pack_into("<4f", content, 76, 1, 1, 2, 3)
    (tmp_path / "a.nii").write_bytes(content)
    image = io.read(tmp_path / "a.nii")
    assert np.unique(image.array).tolist() == [11] and image.array.dtype == "float32"
    reference = sitk.ReadImage(str(tmp_path / "a.nii"))
    assert reference.GetPixelID() == sitk.sitkFloat32 and reference[0, 0, 0] == 11
    # RAS in the file, LPS here.
    np.testing.assert_allclose(image.geometry.to_physical([1, 1, 1]), [-3, -7, 10], atol=1e-6)


def test_a_single_frame_of_four_axes_is_a_volume(tmp_path):
    image = sitk.GetImageFromArray(np.arange(24, dtype="int16").reshape(2, 3, 4))
    image.SetSpacing((1.5, 2, 3))
    sitk.WriteImage(sitk.JoinSeries([image]), str(tmp_path / "a.nii.gz"))
    found = io.read(tmp_path / "a.nii.gz")
    assert found.array.shape == (2, 3, 4) and found.geometry.spacing == (1.5, 2, 3)


@pytest.mark.parametrize("suffix", ["nii.gz", "mha", "nrrd"])
def test_frames_of_four_axes(tmp_path, suffix):
    rng = np.random.default_rng(0)
    geometry = random_geometry(rng, 3)
    frames = [Image(rng.normal(size=geometry.shape).astype("float32"), geometry) for _ in range(3)]
    joined = sitk.JoinSeries([frame.to_sitk() for frame in frames], 0.0, 40.0)
    sitk.WriteImage(joined, str(tmp_path / f"a.{suffix}"))
    found = io.read_frames(tmp_path / f"a.{suffix}")
    for one, other in zip(found, frames, strict=True):
        np.testing.assert_array_equal(one.array, other.array)
        assert one.geometry.matches(geometry)
    with pytest.raises(InputError, match="series of 3 frames"):
        io.read(tmp_path / f"a.{suffix}")


def test_frames_of_three_axes_are_slices(tmp_path):
    movie = np.arange(2 * 3 * 4, dtype="uint8").reshape(2, 3, 4)
    image = sitk.GetImageFromArray(movie)
    image.SetSpacing((2, 3, 40))
    image.SetOrigin((5, 6, 0))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    sitk.WriteImage(image, str(tmp_path / "a.tif"))
    np.save(tmp_path / "a.npy", movie)
    for name in ("a.mha", "a.tif", "a.npy"):
        found = io.read_frames(tmp_path / name)
        np.testing.assert_array_equal([frame.array for frame in found], movie)
    found = io.read_frames(tmp_path / "a.mha")[1].geometry
    assert (found.size, found.spacing, found.origin) == ((4, 3), (2, 3), (5, 6))
    np.save(tmp_path / "flat.npy", movie[0])
    with pytest.raises(InputError, match="3 or 4 axes"):
        io.read_frames(tmp_path / "flat.npy")


def test_an_oblique_slice_keeps_its_distances_in_the_plane():
    rng = np.random.default_rng(0)
    for _ in range(20):
        whole = random_geometry(rng, 3)
        size, other = (5, 6, 1), np.array(whole.origin) + np.array(whole.direction)[:, 0]
        one = Geometry(size, whole.spacing, whole.origin, whole.direction)
        two = Geometry(size, whole.spacing, tuple(other), whole.direction)
        flat = [io.flattened(Image(np.zeros((1, 6, 5)), grid)).geometry for grid in (one, two)]
        index = rng.uniform(0, 5, (4, 2))
        in_3d = [g.to_physical(np.insert(index, 0, 0, axis=1)) for g in (one, two)]
        in_2d = [g.to_physical(index) for g in flat]
        for first, second in ((0, 0), (0, 1)):  # within a slice, and from one to the other
            expected = np.linalg.norm(in_3d[first][0] - in_3d[second][1])
            found = np.linalg.norm(in_2d[first][0] - in_2d[second][1])
            assert found == pytest.approx(expected, abs=1e-9)
    flipped = Geometry((5, 6, 1), (1, 2, 3), (7, 8, 9), np.diag([-1, 1, -1]))
    found = io.flattened(Image(np.zeros((1, 6, 5)), flipped)).geometry
    assert found.origin == (7, 8) and found.direction == ((-1, 0), (0, 1))
    with pytest.raises(InputError, match="single slice"):
        io.flattened(Image(np.zeros((2, 6, 5)), Geometry.of_shape((2, 6, 5))))


def tiff(**changed):
    """Two pages of 2 x 2 bytes; ``changed`` holds the first value of a field of the second."""
    content, start = b"II*\0" + struct.pack("<I", 12) + b"\1\2\3\4", 12
    for page in range(2):
        fields = {254: 2, 256: 2, 257: 2, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2, 279: 4}
        fields |= {int(tag[1:]): value for tag, value in changed.items()} if page else {}
        table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items())
        start += 2 + len(table) + 4
        content += struct.pack("<H", len(fields)) + table + struct.pack("<I", start * (1 - page))
    return content


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"t254": 1}, "thumbnails"),
        ({"t254": 0}, "alike"),
        ({"t256": 1}, "alike"),
        ({"t256": 70000}, "must have 140000 bytes. Received: 4"),
        ({"t256": 0}, "unusable"),
        ({"t258": 16}, "must have 8 bytes"),
        ({"t259": 5}, "alike"),
        ({"t273": 5000}, "truncated"),
        ({"t277": 9}, "unusable"),
        ({"t278": 1}, "2 strips are needed"),
        ({"t278": 0}, "tiles are unusable"),
        ({"t279": 1 << 31}, "truncated"),
    ],
)
def test_pages_of_tiff_are_alike(tmp_path, changed, message):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff())
    assert io.read(path).array.tolist() == [[[1, 2], [3, 4]]] * 2
    path.write_bytes(tiff(**changed))
    with pytest.raises(InputError, match=message):
        io.read(path)


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        io.read(tmp_path / "none.mha")
    with pytest.raises(InputError, match="without DICOM"):
        io.read(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        io.read("a" * 5000 + ".mha")
    with pytest.raises(InputError, match=r"cannot be read|no such file"):
        io.read("a\0.mha")
    with pytest.raises(InputError, match="file or a folder"):
        io.read("/dev/null")
    (tmp_path / "a.npy").write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        io.read(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.zeros((3, 4)))
    with pytest.raises(InputError, match="Only a folder"):
        io.read(tmp_path / "a.npy", series="1.2")


def test_arrays_that_are_no_images(tmp_path):
    for array, message in (
        (np.zeros(3), "2 or 3 axes"),
        (np.zeros((5, 2, 3, 4)), "series of 5 frames"),
        (np.zeros((3, 4), complex), "real"),
        (np.array([[None]]), "not a NumPy array"),
        (np.zeros((0, 3)), "not a NumPy array|at least one"),
    ):
        np.save(tmp_path / "a.npy", array, allow_pickle=True)
        with pytest.raises(InputError, match=message):
            io.read(tmp_path / "a.npy")
