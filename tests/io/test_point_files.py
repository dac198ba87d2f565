import json

import numpy as np
import pytest
from test_geometry import random_geometry

from tfreg import io
from tfreg.errors import InputError
from tfreg.geometry import Geometry


@pytest.mark.parametrize("suffix", ["csv", "vtk", "fcsv", "mrk.json", "txt", "pts"])
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
RAS = "FIELD FieldData 1\nSPACE 1 1 string\nRAS\n"


def markups(positions, **more):
    points = [{"id": "1", "position": p, "positionStatus": "defined"} for p in positions]
    return json.dumps({"markups": [{"type": "Fiducial", **more, "controlPoints": points}]})


def binary_vtk(title, field, kind, dtype):
    head = VTK.replace("x", title, 1).replace("ASCII", "BINARY").encode()
    values = np.array([[1, 2, 3], [-4, 50, 6]], dtype).tobytes()
    return (
        head + field + f"POINTS 2 {kind}\n".encode() + values + b"\nVERTICES 1 2\n\0\0\0\1\0\0\0\0"
    )


LONG = b"FIELD FieldData 2\nTime 1 2 int\n\0\n\0\0\0\0\0\0\nSPACE 1 1 string\n\xc3RAS\n"
FCSV = "# Markups fiducial file version = 4.10\n# CoordinateSystem = {}\n# columns = id,x,y,z,ow\n"


@pytest.mark.parametrize(
    ("name", "content", "frame"),
    [
        ("a.vtk", VTK + "POINTS 2 float\n1 2 3 -4 50 6\n", "LPS"),
        ("a.vtk", VTK.replace("x", "Slicer SPACE=LPS") + "POINTS 2 int\n1 2 3 -4 50 6", "LPS"),
        ("a.vtk", VTK.replace("x", "Slicer SPACE=RAS") + "POINTS 2 int\n1 2 3 -4 50 6", "RAS"),
        ("a.vtk", VTK + RAS + "POINTS 2 int\n1 2 3 -4 50 6", "RAS"),
        ("a.vtk", VTK + "FIELD FieldData 2\nTime 2 2 int\n1 2\n3 4\n" + RAS.split("\n", 1)[1]
         + "POINTS 2 int\n1 2 3 -4 50 6", "RAS"),
        ("a.vtk", binary_vtk("x", b"", "float", ">f4"), "LPS"),
        ("a.vtk", binary_vtk("x SPACE=RAS", b"", "double", ">f8"), "RAS"),
        ("a.vtk", binary_vtk("x", LONG, "short", ">i2"), "RAS"),
        ("a.csv", "x,y,z\n1,2,3\n-4,50,6\n", "LPS"),
        ("a.csv", "# CoordinateSystem = RAS\n# made by hand\nx,y,z\n1,2,3\n-4,50,6\n", "RAS"),
        ("a.csv", "label,r,a,s,defined\nF-1,1,2,3,1\nF-2,-4,50,6,1\n", "RAS"),
        ("a.csv", "label,l,p,s,defined\nF-1,1,2,3,1\nF-2,-4,50,6,1\n", "LPS"),
        ("a.csv", "X [mm],y_mm,Z (MM),t\n1,2,3,0\n-4,50,6,0\n", "LPS"),
        ("a.fcsv", FCSV.format("0") + "F,1,2,3,0\nF,-4,50,6,0\n", "RAS"),
        ("a.fcsv", FCSV.format("RAS") + "F,1,2,3,0\nF,-4,50,6,0\n", "RAS"),
        ("a.fcsv", FCSV.format("1") + "F,1,2,3,0\nF,-4,50,6,0\n", "LPS"),
        ("a.fcsv", FCSV.format("LPS") + "F,1,2,3,0\nF,-4,50,6,0\n", "LPS"),
        ("a.mrk.json", markups([[1, 2, 3], [-4, 50, 6]]), "LPS"),
        ("a.mrk.json", markups([[1, 2, 3], [-4, 50, 6]], coordinateSystem="LPS",
                               coordinateUnits="mm"), "LPS"),
        ("a.mrk.json", markups([[1, 2, 3], [-4, 50, 6]], coordinateSystem="RAS"), "RAS"),
    ],
)  # fmt: skip
def test_a_frame_that_a_file_states_is_that_of_its_points(tmp_path, name, content, frame):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    expected = np.array([[1, 2, 3], [-4, 50, 6]]) * ([-1, -1, 1] if frame == "RAS" else 1)
    np.testing.assert_array_equal(io.read_points(path), expected)


@pytest.mark.parametrize(
    ("suffix", "statement"),
    [
        ("vtk", "points in mm, SPACE=LPS\n"),
        ("fcsv", "# CoordinateSystem = LPS\n"),
        ("mrk.json", '"coordinateSystem": "LPS"'),
    ],
)
def test_files_for_others_state_their_frame(tmp_path, suffix, statement):
    io.write_points([[1.0, 2.0, 3.0]], tmp_path / f"a.{suffix}")
    assert statement in (tmp_path / f"a.{suffix}").read_text()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "1,2,3\n", "header x,y,z"),
        ("a.csv", "x,x,y\n1,2,3\n", "header x,y,z"),
        ("a.csv", "x,y,z\n1,2\n", "3 numbers in every row.*as point 1"),
        ("a.csv", "x,y,z\n1,2,three\n", "3 numbers"),
        ("a.csv", "x,y,z\n", "no points"),
        ("a.csv", "x,y,z\n1,2,nan\n1,inf,3\n1,2,3", "not finite. Received: 2"),
        ("a.csv", "x,y\n1,2\n", "3-D points.*Received: 2-D"),
        ("a.csv", "", "empty"),
        ("a.csv", b"\xff\xfe\x00", "not a text file"),
        ("a.vtk", "what", "not a legacy VTK file"),
        ("a.vtk", VTK.replace("ASCII", "GZIP"), "ASCII or BINARY.*GZIP"),
        ("a.vtk", VTK, "no POINTS"),
        ("a.vtk", VTK + "POINTS 2 float\n1 2 3 4 5\n", "truncated: 6 values.*Received: 5"),
        ("a.vtk", VTK + "POINTS 999999999999 float\n1 2 3\n", "truncated"),
        ("a.vtk", VTK + "POINTS -2 float\n1 2 3\n", "broken header"),
        ("a.txt", "1 2 3\n", "'point' or 'index'"),
        ("a.txt", "point\ntwo\n1 2 3\n", "number of points"),
        ("a.txt", "point\n2\n1 2 3\n", "2 points are promised. Received: 1"),
        ("a.txt", "point\n2\n1 2 3\n1 2\n", "2 or 3 numbers"),
        ("a.txt", "point\n1\n1 2 x\n", "must hold numbers"),
        ("a.txt", "index\n1\n1 2\n", "3 numbers per index"),
        ("a.txt", "Point 0 ; OutputPoint = [ 1 2 3 ]\nPoint 1 ; Out", "truncated"),
        ("a.vtk", VTK.replace("x", "SPACE=IJK") + "POINTS 1 int\n1 2 3\n", "LPS or RAS.*IJK"),
        ("a.vtk", VTK.replace("x", "SPACE=LPS") + RAS + "POINTS 1 int\n1 2 3", "LPS and RAS"),
        ("a.vtk", VTK.replace("ASCII", "BINARY") + "POINTS 1 half\nxxxxxx", "unknown type.*half"),
        ("a.vtk", VTK + "FIELD FieldData 1\nSPACE 1 1\nRAS\n", "broken header"),
        ("a.vtk", VTK + "FIELD FieldData 3\nSPACE 1 2 string\nRAS\n", "2 values.*Received: 1"),
        ("a.csv", "# CoordinateSystem = IJK\nx,y,z\n1,2,3\n", "LPS or RAS.*'ijk'"),
        ("a.csv", "# space: LPS\nr,a,s\n1,2,3\n", "one frame.*RAS, and 'LPS'"),
        ("a.csv", "x (cm),y (cm),z (cm)\n1,2,3\n", "in mm. Received: 'cm'"),
        ("a.csv", "x_voxel,y_voxel,z_voxel\n1,2,3\n", "in mm. Received: 'voxel'"),
        ("a.csv", "# units = um\nx,y,z\n1,2,3\n", "in mm. Received: 'um'"),
        ("a.fcsv", "# columns = id,x,y,z\nF,1,2,3\n", "'# CoordinateSystem = LPS'"),
        ("a.fcsv", "# CoordinateSystem = 2\nF,1,2,3\n", "LPS or RAS.*'ijk'"),
        ("a.fcsv", "# CoordinateSystem = LPS\n# columns = id,l\nF,1", "header x,y,z"),
        ("a.mrk.json", "{", "as 3D Slicer's .mrk.json does"),
        ("a.mrk.json", '{"markups": [[]]}', "as 3D Slicer's .mrk.json does"),
        ("a.mrk.json", markups([[1, 2]]), "as 3D Slicer's .mrk.json does"),
        ("a.mrk.json", markups([[1, 2, 3]], coordinateSystem="scanner"), "LPS or RAS.*scanner"),
        ("a.mrk.json", markups([[1, 2, 3]], coordinateUnits="um"), "in mm. Received: 'um'"),
        ("a.mrk.json", markups([[1, 2, 3]]).replace("defined", "undefined"), "1 undefined"),
        ("a.mrk.json", '{"markups": [{}, {}]}', "one list of points. Received: 2"),
        ("a.json", "{}", "Points are in files of"),
        ("a.doc", "x", r"\.csv, \.vtk, \.fcsv, \.mrk\.json, \.txt"),
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
