"""TIFF and pictures as they are meant, against tifffile and Pillow."""

import itertools
import warnings

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import SimpleITK as sitk
import tifffile

from tfreg import io
from tfreg.errors import InputError, InputWarning
from tfreg.geometry import Geometry
from tfreg.image import Image

CAMERA = np.random.default_rng(0).integers(0, 4096, (48, 80)).astype("u2")
PAGES = np.random.default_rng(1).integers(0, 255, (5, 12, 17)).astype("u1")
COLOURS = np.random.default_rng(2).integers(0, 255, (12, 17, 4)).astype("u1")
LUMINANCE = COLOURS[..., :3] @ [0.299, 0.587, 0.114]


@pytest.fixture
def silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        yield


@pytest.mark.parametrize("layout", [{}, {"tile": (16, 32)}, {"rowsperstrip": 5}])
def test_values_are_those_of_tifffile(tmp_path, silent, layout):
    ways = itertools.cycle([{}, {"compression": "zlib"}, {"byteorder": ">"}, {"bigtiff": True}])
    for dtype in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "f2", "f4", "f8"):
        array = (CAMERA // 32 - 64 * (dtype == "i1")).astype(dtype)
        tifffile.imwrite(tmp_path / "a.tif", array, **layout, **next(ways))
        found = io.read(tmp_path / "a.tif").array
        assert found.dtype == ("f4" if dtype == "f2" else dtype)
        np.testing.assert_array_equal(found, array)
        np.testing.assert_array_equal(found, tifffile.imread(tmp_path / "a.tif"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_orientation_is_that_of_pillow(tmp_path, silent, orientation, suffix):
    path = tmp_path / f"a.{suffix}"
    ramp = np.add.outer(np.arange(24) * 9, np.arange(16) * 2).astype("u1")
    if suffix == "tif":
        tag = (274, "H", 1, orientation, True)
        options = {"extratags": [tag], "resolution": (100, 50), "resolutionunit": "CENTIMETER"}
        tifffile.imwrite(path, ramp, **options)
        picture = PIL.Image.fromarray(ramp)
        picture.getexif()[274] = orientation
    else:
        exif = PIL.Image.Exif()
        exif[274] = orientation
        PIL.Image.fromarray(ramp).save(path, exif=exif, dpi=(254, 127))
        picture = PIL.Image.open(path)
    found = io.read(path)
    expected = np.asarray(PIL.ImageOps.exif_transpose(picture))
    np.testing.assert_array_equal(found.array, expected)
    turned = orientation >= 5
    np.testing.assert_allclose(found.geometry.spacing, (0.2, 0.1) if turned else (0.1, 0.2))


def test_an_orientation_that_there_is_not(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PAGES[0], extratags=[(274, "H", 1, 9, True)])
    with pytest.raises(InputError, match="broken header: orientation 9"):
        io.read(tmp_path / "a.tif")
    exif = PIL.Image.Exif()
    exif[274] = 9
    PIL.Image.fromarray(PAGES[0]).save(tmp_path / "a.jpg", exif=exif)
    with pytest.raises(InputError, match=r"EXIF orientation must be 1 to 8. Received: 9"):
        io.read(tmp_path / "a.jpg")


@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}])
def test_min_is_white_is_taken_as_stored_and_said(tmp_path, layout):
    tifffile.imwrite(tmp_path / "a.tif", PAGES[0], photometric="miniswhite", **layout)
    with pytest.warns(InputWarning, match=r"a\.tif shows 0 as white"):
        np.testing.assert_array_equal(io.read(tmp_path / "a.tif").array, PAGES[0])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}])
def test_colour_becomes_luminance(tmp_path, silent, planar, layout):
    rgb = COLOURS[..., :3]
    stored = np.moveaxis(rgb, -1, 0) if planar == "separate" else rgb
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, **layout)
    np.testing.assert_allclose(io.read(tmp_path / "a.tif").array, LUMINANCE)


def write_alpha(path, colour, array):
    if path.suffix == ".png":
        PIL.Image.fromarray(array).save(path)
        return
    options = {"photometric": "rgb" if colour else "minisblack", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(path, array, planarconfig="contig", **options)


@pytest.mark.parametrize(("suffix", "colour"), [("tif", True), ("tif", False), ("png", True)])
def test_transparency_is_said_where_there_is_any(tmp_path, suffix, colour):
    path = tmp_path / f"a.{suffix}"
    expected = LUMINANCE if colour else COLOURS[..., 0]
    array = COLOURS.copy() if colour else COLOURS[..., :2].copy()
    array[..., -1] = 255
    write_alpha(path, colour, array)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        np.testing.assert_allclose(io.read(path).array, expected)
    array[3, 4:7, -1] = 0
    write_alpha(path, colour, array)
    with pytest.warns(InputWarning, match="transparent pixels.*Received: 3 of 204 pixels"):
        np.testing.assert_allclose(io.read(path).array, expected)


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_palettes_become_the_luminance_of_their_colours(tmp_path, silent, suffix):
    picture = PIL.Image.fromarray(PAGES[0] % 16, "P")
    picture.putpalette(COLOURS[..., :3].tobytes())
    picture.save(tmp_path / f"a.{suffix}")
    colours = np.asarray(picture.convert("RGB")) * (256.0 if suffix == "tif" else 1.0)
    found = io.read(tmp_path / f"a.{suffix}").array
    np.testing.assert_allclose(found, colours @ [0.299, 0.587, 0.114])


def test_a_png_of_sixteen_bits(tmp_path, silent):
    PIL.Image.fromarray(CAMERA).save(tmp_path / "a.png")
    np.testing.assert_array_equal(io.read(tmp_path / "a.png").array, CAMERA)


def test_grey_and_alpha_of_png_is_refused_with_what_would_do(tmp_path):
    PIL.Image.fromarray(COLOURS[..., :2]).save(tmp_path / "a.png")
    PIL.Image.fromarray(PAGES[0]).save(tmp_path / "b.png", transparency=7)
    for name in ("a.png", "b.png"):
        with pytest.raises(InputError) as error:
            io.read(tmp_path / name)
        assert str(error.value) == (
            f"{tmp_path / name} must be without transparency; save it as grey alone, or as red, "
            "green, blue and alpha. Received: grey and alpha"
        )


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_colours_of_printing_are_refused(tmp_path, suffix):
    PIL.Image.fromarray(COLOURS, "CMYK").save(tmp_path / f"a.{suffix}")
    with pytest.raises(InputError, match=r"red, green and blue; save it so. Received: 4 channels"):
        io.read(tmp_path / f"a.{suffix}")


PIXELS = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 250, "PhysicalSizeYUnit": "nm"}
PIXELS |= {"PhysicalSizeZ": 2, "PhysicalSizeZUnit": "mm"}


@pytest.mark.parametrize(
    ("name", "options", "spacing"),
    [
        ("a.tif", {}, (1, 1, 1)),
        ("a.tif", {"resolution": (254, 50.8), "resolutionunit": "INCH"}, (0.1, 0.5, 1)),
        ("a.tif", {"resolution": (100, 20), "resolutionunit": "CENTIMETER"}, (0.1, 0.5, 1)),
        ("a.tif", {"resolution": (100, 20), "resolutionunit": "NONE"}, (1, 1, 1)),
        (
            "a.tif",
            {"resolution": (100, 20), "resolutionunit": "CENTIMETER"}
            | {"metadata": {"axes": "ZYX", "spacing": 2.5, "unit": "mm"}},
            (0.1, 0.5, 2.5),
        ),
        ("a.tif", {"imagej": True, "metadata": {"axes": "ZYX", "spacing": 3}}, (1, 1, 1)),
        (
            "a.tif",
            {"imagej": True, "resolution": (2, 4)}
            | {"metadata": {"axes": "ZYX", "spacing": 3, "unit": "um"}},
            (0.0005, 0.00025, 0.003),
        ),
        (
            "a.tif",
            {"imagej": True, "resolution": (2, 4)}
            | {"metadata": {"axes": "ZYX", "spacing": 3, "unit": "pixel"}},
            (1, 1, 1),
        ),
        ("a.ome.tif", {"metadata": {"axes": "ZYX", **PIXELS}}, (0.0005, 0.00025, 2)),
        ("a.ome.tif", {"metadata": {"axes": "ZYX"}}, (1, 1, 1)),
    ],
)
def test_the_unit_of_a_spacing_counts(tmp_path, name, options, spacing):
    tifffile.imwrite(tmp_path / name, PAGES, photometric="minisblack", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        found = io.read(tmp_path / name)
    np.testing.assert_array_equal(found.array, PAGES)
    np.testing.assert_allclose(found.geometry.spacing, spacing, rtol=1e-6)


def test_an_unknown_unit_is_not_taken_for_millimetres(tmp_path):
    for name, more in (
        ("a.tif", {"imagej": True, "metadata": {"axes": "ZYX", "unit": "furlong"}}),
        ("a.ome.tif", {"metadata": {"axes": "ZYX", "PhysicalSizeX": 1, "PhysicalSizeXUnit": "pt"}}),
    ):
        tifffile.imwrite(tmp_path / name, PAGES, **more)
        with pytest.raises(InputError, match=r"nm, um, mm, cm, m, inch. Received: '(furlong|pt)'"):
            io.read(tmp_path / name)


def test_pages_are_what_the_file_says(tmp_path, silent):
    path = tmp_path / "a.tif"
    for kind in ({"imagej": True}, {"photometric": "minisblack"}, {"ome": True}):
        tifffile.imwrite(path, PAGES, **kind, metadata={"axes": "TYX"})
        with pytest.raises(InputError, match=r"a series of 5 frames.*read_frames answers all"):
            io.read(path)
        frames = io.read_frames(path)
        np.testing.assert_array_equal([frame.array for frame in frames], PAGES)
        tifffile.imwrite(path, PAGES, **kind, metadata={"axes": "CYX"})
        with pytest.raises(InputError, match=r"save one of its channels. Received: 5 channels"):
            io.read(path)
        tifffile.imwrite(path, PAGES, **kind, metadata={"axes": "ZYX"})
        np.testing.assert_array_equal(io.read(path).array, PAGES)
        stack = np.stack([PAGES, PAGES[::-1]])
        tifffile.imwrite(path, stack, **kind, metadata={"axes": "TZYX"})
        np.testing.assert_array_equal([frame.array for frame in io.read_frames(path)], stack)


def test_pages_that_are_said_to_be_samples_are_no_colours(tmp_path):
    said = {"photometric": "minisblack", "metadata": {"axes": "YXS"}}
    tifffile.imwrite(tmp_path / "a.tif", COLOURS[..., :3], **said)
    with pytest.raises(InputError, match=r"Received: 1 channels of MINISBLACK, axes YXS"):
        io.read(tmp_path / "a.tif")


def test_pages_of_which_the_file_says_nothing_are_slices_and_that_is_said(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PAGES, metadata=None, photometric="minisblack")
    with pytest.warns(InputWarning, match="does not say what its 5 pages are: .* z, 1 mm apart"):
        np.testing.assert_array_equal(io.read(path).array, PAGES)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        assert len(io.read_frames(path)) == 5


def test_several_images_in_one_file(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(PAGES[0])
        file.write(PAGES[1])
    with pytest.raises(InputError, match=r"must hold one image. Received: 2 images"):
        io.read(tmp_path / "a.tif")


def test_compression_that_only_itk_knows(tmp_path, silent):
    """LZW and JPEG, in the strips that ITK reads."""
    sitk.WriteImage(sitk.GetImageFromArray(CAMERA), str(tmp_path / "a.tif"), True, -1)
    PIL.Image.fromarray(COLOURS[..., :3]).save(tmp_path / "b.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(io.read(tmp_path / "a.tif").array, CAMERA)
    np.testing.assert_allclose(io.read(tmp_path / "b.tif").array, LUMINANCE)
    PIL.Image.fromarray(COLOURS[..., :3]).save(tmp_path / "c.tif", compression="jpeg")
    expected = np.asarray(PIL.Image.open(tmp_path / "c.tif").convert("RGB")) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(io.read(tmp_path / "c.tif").array, expected, atol=1)


def test_compression_that_needs_another_package(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", CAMERA, tile=(16, 16))

    def refuse(*_, **__):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", refuse)
    with pytest.raises(InputError, match="pip install imagecodecs, or save it without compression"):
        io.read(tmp_path / "a.tif")


def test_a_stack_that_promises_more_than_the_file_holds(tmp_path):
    """ImageJ writes large stacks with one directory, and says how many images follow."""
    said = "ImageJ=1.53t\nimages=9\nslices=9\n"
    tifffile.imwrite(tmp_path / "a.tif", PAGES[0], description=said, metadata=None)
    with pytest.raises(InputError, match=r"a\.tif is truncated, or what it says of its pages"):
        io.read(tmp_path / "a.tif")
    said = "ImageJ=1.53t\nunit=micron\nmin=0.0\nmax=255.0\n"
    tifffile.imwrite(tmp_path / "a.tif", PAGES[0], description=said, metadata=None)
    np.testing.assert_array_equal(io.read(tmp_path / "a.tif").array, PAGES[0])


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_is_written_says_what_it_is(tmp_path, silent, ndim):
    spacing = (3.0, 0.7, 0.45)[-ndim:]
    array = PAGES if ndim == 3 else PAGES[0]
    io.write(Image(array, Geometry.of_shape(array.shape, spacing)), tmp_path / "a.tif")
    found = io.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.array, array)
    np.testing.assert_allclose(found.geometry.spacing, spacing[::-1], rtol=1e-6)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "a.tif")), array)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.series[0].axes == "ZYX"[-ndim:]


def test_an_npy_that_is_none_is_refused_in_our_words(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(b"PK\3\4 an archive")
    with pytest.raises(InputError, match=r"not a NumPy array file. Received: it begins with b'PK"):
        io.read(path)
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="Python objects in dtype") as error:
        io.read(path)
    assert "pickle" not in str(error.value)
