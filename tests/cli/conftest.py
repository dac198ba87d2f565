"""A pair of images, label maps, landmarks and a transform on disk."""

import functools
from types import SimpleNamespace

import numpy as np
import pytest

import zoo
from tfreg import Geometry, Image, io, transforms

_load = functools.cache(zoo.load)
TURN = [[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, -1.0]]


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    """Commands in one process share the model of a preset, and what is compiled of it."""
    monkeypatch.setattr(zoo, "load", _load)


@pytest.fixture(scope="session")
def clinic(tmp_path_factory):
    """Two oblique, anisotropic grids 30 mm apart, and the bent map that takes one to the other."""
    folder = tmp_path_factory.mktemp("clinic")
    rng = np.random.default_rng(5)
    fixed = Geometry((20, 16, 12), (1.5, 1.5, 3.0), (10.0, -20.0, 30.0), TURN)
    moving = Geometry((22, 18, 11), (1.4, 1.6, 3.2), (38.0, -20.0, 34.0), TURN)
    shift = transforms.Affine(np.eye(3), moving.centre - fixed.centre)
    steps = np.array([9.0, 9.0, 12.0])  # control points, more than wide enough for the image
    lattice = Geometry((9, 9, 9), tuple(steps), tuple(fixed.centre - 4 * steps), np.eye(3).tolist())
    spline = transforms.BSpline(2.0 * rng.normal(size=(9, 9, 9, 3)), lattice)
    whole = transforms.compose(spline, shift)

    def where(geometry):
        index = np.moveaxis(np.indices(geometry.shape), 0, -1)
        return geometry.to_physical(index) - geometry.centre

    places = where(moving)
    grey = 1000 + 200 * np.sin(places / (4.0, 5.0, 6.0)).sum(axis=-1)
    image = Image(np.rint(grey).astype("int16"), moving)
    labels = np.zeros(moving.shape, "uint8")
    labels[(places**2).sum(axis=-1) < 81] = 2
    labels[((places - 4) ** 2).sum(axis=-1) < 25] = 7
    moving_labels = Image(labels, moving)
    fixed_labels = whole.apply(moving_labels, fixed, "nearest", 0)
    points = fixed.centre + rng.uniform(-6, 6, size=(15, 3))
    ends = whole.apply_points(points)

    io.write(whole.apply(image, fixed, fill=0.0), folder / "fixed.nii.gz")
    io.write(image, folder / "moving.mha")
    io.write(moving_labels, folder / "moving_labels.nrrd")
    io.write(fixed_labels, folder / "fixed_labels.nii.gz")
    io.write_points(points, folder / "fixed.csv")
    io.write_points(ends, folder / "moving.csv")
    transforms.save(whole, folder / "whole.h5")
    transforms.save(spline, folder / "spline.tfm")
    transforms.save(shift, folder / "shift.mat")
    return SimpleNamespace(
        folder=folder, fixed=fixed, moving=moving, image=image, moving_labels=moving_labels,
        fixed_labels=fixed_labels, points=points, ends=ends, whole=whole,
    )  # fmt: skip


@pytest.fixture
def tfreg(clinic, monkeypatch, capfd):
    """Runs a command in the folder; answers its code, output and errors."""
    from tfreg.cli import main

    monkeypatch.chdir(clinic.folder)

    def run(*words):
        capfd.readouterr()
        code = main([str(word) for word in words])
        said = capfd.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return run
