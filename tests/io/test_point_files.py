import numpy as np
import pytest
from test_geometry import random_geometry

from tfreg import io
from tfreg.errors import InputError
from tfreg.geometry import Geometry


@pytest.mark.parametrize("suffix", ["csv", "vtk", "txt", "pts"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_points_come_back_to_the_last_digit(tmp_path, suffix, ndim):
    rng = np.random.default_rng(0)
    points = rng.normal(0, 300, (7, ndim)) * np.logspace(-12, 1, 7)[:, None]
    path = tmp_path / "new" / f"points.{suffix}"
    io.write_points(points, path)
    found = io.read_points(path, random_geometry(rng, ndim))
    np.testing.assert_array_equal(found, points)
    assert found.dtype == np.float64 and [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("ndim", [2, 3])
def test_indices_go_through_the_geometry(tmp_path, ndim):
    rng = np.random.default_rng(1)
    for _ in range(20):
        geometry = random_geometry(rng, ndim)
        index = rng.integers(0, 9, (5, ndim))
        io.write_points(geometry.to_physical(index), tmp_path / "a.txt", geometry)
        lines = (tmp_path / "a.txt").read_text().splitlines()
        assert lines[:2] == ["index", "5"]
        written = np.array([line.split() for line in lines[2:]], float)
        np.testing.assert_allclose(written[:, ::-1], index, atol=1e-9)  # x first in the file
        found = io.read_points(tmp_path / "a.txt", geometry)
        np.testing.assert_allclose(found, geometry.to_physical(index), atol=1e-9)


def test_reads_what_others_write(tmp_path):
    ants = "x,y,z,t,label\n1,2,3,0,1\n-4.5,5e1,6,0,2\n"
    slicer = "\ufefflabel, Z ,X,Y\r\na,3,1,2\r\n\r\nb,6,-4.5,50\r\n"
    elastix = "POINT\n2\n1 2 3\n\n-4.5 50 6\n"
    line = "Point {}\t; InputIndex = [ 9 9 9 ]\t; InputPoint = [ 7 7 7 ]\t; OutputIndexFixed = "
    line += "[ 8 8 8 ]\t; OutputPoint = [ {} ]\t; Deformation = [ 0 0 0 ]\n"
    transformix = line.format(0, "1 2 3") + line.format(1, "-4.500000 50 6")
    vtk = "# vtk DataFile Version 4.1\nx\nASCII\nDATASET UNSTRUCTURED_GRID\nPOINTS 2 float\n"
    vtk += "1 2 3 -4.5\n50 6\nCELLS 1 2\n1 0\n"
    for name, text in (
        ("a.csv", ants),
        ("b.csv", slicer),
        ("a.txt", elastix),
        ("outputpoints.txt", transformix),
        ("a.vtk", vtk),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        np.testing.assert_array_equal(io.read_points(tmp_path / name), [[1, 2, 3], [-4.5, 50, 6]])


VTK = "# vtk DataFile Version 3.0\nx\nASCII\nDATASET POLYDATA\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "1,2,3\n", "header x,y,z"),
        ("a.csv", "x,x,y\n1,2,3\n", "header x,y,z"),
        ("a.csv", "x,y,z\n1,2\n", "3 numbers in every row.*row 2"),
        ("a.csv", "x,y,z\n1,2,three\n", "3 numbers"),
        ("a.csv", "x,y,z\n", "no points"),
        ("a.csv", "x,y,z\n1,2,nan\n1,inf,3\n1,2,3", "not finite. Received: 2"),
        ("a.csv", "x,y\n1,2\n", "3-D points.*Received: 2-D"),
        ("a.csv", "", "empty"),
        ("a.csv", b"\xff\xfe\x00", "not a text file"),
        ("a.vtk", "what", "not a legacy VTK file"),
        ("a.vtk", VTK.replace("ASCII", "BINARY"), "ASCII file.*BINARY"),
        ("a.vtk", VTK, "no POINTS"),
        ("a.vtk", VTK + "POINTS 2 float\n1 2 3 4 5\n", "truncated: 2 points.*5 coordinates"),
        ("a.vtk", VTK + "POINTS 999999999999 float\n1 2 3\n", "truncated"),
        ("a.vtk", VTK + "POINTS -2 float\n1 2 3\n", "broken header"),
        ("a.txt", "1 2 3\n", "'point' or 'index'"),
        ("a.txt", "point\ntwo\n1 2 3\n", "number of points"),
        ("a.txt", "point\n2\n1 2 3\n", "2 points are promised. Received: 1"),
        ("a.txt", "point\n2\n1 2 3\n1 2\n", "2 or 3 numbers"),
        ("a.txt", "point\n1\n1 2 x\n", "must hold numbers"),
        ("a.txt", "index\n1\n1 2\n", "3 numbers per index"),
        ("a.txt", "Point 0 ; OutputPoint = [ 1 2 3 ]\nPoint 1 ; Out", "truncated"),
        ("a.doc", "x", r"\.csv, \.vtk, \.txt, \.pts"),
        ("none.csv", None, "no such file"),
    ],
)
def test_files_that_are_no_points_are_refused_in_one_line(tmp_path, name, text, message):
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message) as error:
        io.read_points(path, Geometry.of_shape((3, 4, 5)))
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_indices_need_a_geometry(tmp_path):
    (tmp_path / "a.txt").write_text("index\n1\n1 2 3\n")
    with pytest.raises(InputError, match="geometry of their image is needed"):
        io.read_points(tmp_path / "a.txt")


def test_points_that_cannot_be_written(tmp_path):
    grid = Geometry.of_shape((3, 4))
    for points, name, geometry, message in (
        (np.zeros(3), "a.csv", None, r"\(n, 2\) or \(n, 3\)"),
        (np.zeros((0, 3)), "a.csv", None, r"\(n, 2\) or \(n, 3\)"),
        (np.full((1, 3), np.nan), "a.csv", None, "finite"),
        (np.zeros((1, 2)), "a.csv", grid, "hold indices"),
        (np.zeros((1, 3)), "a.txt", grid, "2 coordinates. Received: 3"),
        (np.zeros((1, 3)), "a.doc", None, "Points are in files"),
    ):
        with pytest.raises(InputError, match=message):
            io.write_points(points, tmp_path / name, geometry)
    assert not list(tmp_path.iterdir())
