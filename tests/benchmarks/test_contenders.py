import importlib.util
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from shipped import DIGITS

from benchmarks import evaluate
from benchmarks.judge import judge
from benchmarks.methods.ants import ants
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.greedy import greedy
from benchmarks.methods.instance import Instance
from benchmarks.methods.preset import Preset
from benchmarks.methods.worker import Worker, WorkerError
from benchmarks.pairs import Pair
from tfreg.data import phantoms
from tfreg.registration import Level, Pyramid

QUICK = Pyramid((Level(shrink=2, grid_spacing=16, steps=30), Level(grid_spacing=8, steps=10)))


@pytest.fixture(scope="module")
def shifted():
    """A phantom digit, and itself three rows down and one column to the right."""
    pytest.importorskip("itk")
    image = phantoms.digits(1, seed=1, which=[3]).images[0].astype("float32")
    return Pair("shifted", image, np.roll(image, (3, 1), axis=(0, 1)), (1.0, 1.0))


@pytest.mark.long
def test_elastix_registers_and_its_worker_is_replaced_after_a_crash(shifted):
    elastix = Elastix("elastix", Settings(iterations=100, spacing=8, threads=1))
    try:
        assert elastix.unavailable() is None
        seconds, peak = elastix.cold(shifted)
        displacement, warm = elastix.register(shifted)
        assert displacement.shape == (28, 28, 2) and 0 < warm < seconds < 120 and peak > 10
        assert evaluate.ncc(shifted.fixed, evaluate.warp(shifted.moving, displacement)) > 0.95
        ink = shifted.fixed > 200
        np.testing.assert_allclose(np.median(displacement[ink], axis=0), (3, 1), atol=0.5)
        os.kill(elastix.worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="died"):
            elastix.register(shifted)
        again, _ = elastix.register(shifted)
        np.testing.assert_allclose(again, displacement, atol=1e-3)  # a fixed seed: the same answer
        elastix.worker.timeout = 0.001
        with pytest.raises(WorkerError, match="no answer within"):
            elastix.register(shifted)
    finally:
        elastix.close()


def test_grids_are_in_millimetres_voxels_or_pixels(monkeypatch):
    """What the worker is asked for, on anisotropic voxels."""
    asked = []
    monkeypatch.setattr(Worker, "ask", lambda _, question: asked.append(question) or (0, 1, 2))
    image = np.zeros((4, 5, 6), "float32")
    pair = Pair("p", image, image, (3.0, 2.0, 1.5), start=(1.0, 0.0, 0.0))
    for options in ({}, {"in_voxels": True}, {"in_pixels": True}):
        Elastix("elastix", Settings(spacing=8), **options).register(pair)
    assert [question[0].spacing for question in asked] == [8, 8, 12]
    assert [question[3] for question in asked] == [pair.spacing, None, pair.spacing]
    assert [question[5] for question in asked] == [pair.start] * 3


def test_confined_elastix_sees_one_intensity_outside_of_both_masks(monkeypatch):
    asked = []
    monkeypatch.setattr(Worker, "ask", lambda _, question: asked.append(question) or (0, 1, 2))
    image = np.random.default_rng(0).random((6, 7)).astype("float32")
    mask = np.zeros(image.shape, "uint8")
    mask[2:5, 2:6] = 1
    pair = Pair("p", image, image[::-1], (1.0, 1.0), fixed_mask=mask, moving_mask=mask)
    for confined in (False, True):
        Elastix("elastix", Settings(), confined=confined).register(pair)
    plain, shown = asked
    np.testing.assert_array_equal(plain[1], image)
    assert len(np.unique(shown[1][mask == 0])) == 1
    np.testing.assert_array_equal(shown[1][mask > 0], image[mask > 0])


def test_elastix_smooths_thick_slices_within_only():
    affine, spline = Settings(levels=3, affine=True, thick_slices=True).parameters(3)
    schedule = ["4", "4", "1", "2", "2", "1", "1", "1", "1"]  # x, y, z per level
    assert affine["ImagePyramidSchedule"] == spline["ImagePyramidSchedule"] == schedule
    assert "ImagePyramidSchedule" not in Settings(levels=3).parameters(3)[0]


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = [one.unavailable() for one in (Elastix("elastix", Settings()), greedy(), ants())]
    assert said == [
        "skipped, itk-elastix is not installed.",
        "skipped, picsl_greedy is not installed.",
        "skipped, ants is not installed.",
    ]
    assert Preset("a network", f"{DIGITS}-a9").unavailable() == (
        f"left out, there is no preset {DIGITS}-a9."
    )


@pytest.fixture(scope="module")
def blob():
    """A pair whose map is a known shift, on anisotropic voxels, and where to start."""
    grid = np.moveaxis(np.indices((20, 30, 26)), 0, -1).astype(float)
    spacing = np.array([2.0, 1.0, 1.0])
    rng = np.random.default_rng(2)
    places = np.array([10, 15, 13]) * spacing + rng.normal(0, 4, (8, 3))

    def image(where):
        distance = ((where * spacing)[..., None, :] - places) ** 2
        return (100 * np.exp(-distance.sum(axis=-1) / 12) * np.arange(1, 9)).sum(axis=-1)

    shift = np.array([1.5, -2.0, 3.0])
    points = places / spacing
    return Pair(
        "blob",
        image(grid),
        image(grid - shift),
        tuple(spacing),
        fixed_points=points,
        moving_points=points + shift,
        fixed_mask=(image(grid) > 5).astype("uint8"),
        start=(1.0, 0.0, 2.0),
    )


def assert_follows(pair, displacement, within=0.4):
    error = np.mean(judge(pair, displacement, {})["tre"])
    start = np.mean(judge(pair, np.broadcast_to(pair.start, displacement.shape), {})["tre"])
    assert start > 2.4 and error < within


def test_methods_agree_on_axes_spacing_mask_and_start(blob):
    ours = Instance("tfreg", pyramid=QUICK)
    assert ours.warm(blob) > 0 and ours.unavailable() is None
    displacement, seconds = ours.register(blob)
    assert_follows(blob, displacement)
    assert seconds > 0


@pytest.mark.long
def test_elastix_agrees_too(blob):
    pytest.importorskip("itk")
    settings = Settings(100, 8, samples=1000, affine=True)
    elastix = Elastix("elastix", settings)
    try:
        displacement, seconds = elastix.register(blob)
        assert_follows(blob, displacement)
        assert seconds > 0
        with pytest.raises(WorkerError):
            elastix.register(replace(blob, fixed_mask=0 * blob.fixed_mask))
        affine, spline = settings.parameters(3)
        assert affine["Transform"] == ["AffineTransform"]
        assert spline["NumberOfSpatialSamples"] == ["1000"]
        assert replace(settings, samples=None).parameters(3)[1]["ImageSampler"] == ["Full"]
    finally:
        elastix.close()


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("tool", [greedy, ants])
def test_other_tools_agree_too(blob, tool, affine):
    tool = tool(affine)
    if tool.unavailable():
        pytest.skip(tool.unavailable())
    try:
        tool.warm(blob)
        displacement, seconds = tool.register(blob)
        assert_follows(blob, displacement, within=0.8)
        assert seconds > 0
    finally:
        tool.close()
