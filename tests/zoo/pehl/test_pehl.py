from dataclasses import replace

import keras
import numpy as np
import pytest

from tfreg.data import implants
from tfreg.data.xrays import rendered as siddon
from tfreg.errors import InputError, InputWarning
from tfreg.geometry import ConeBeam, matrix_of
from tfreg.image import Image
from tfreg.metrics import corners_of
from tfreg.registration import Preprocessing
from zoo.pehl import METHOD
from zoo.pehl.model import GROUPS, PEHL, TOGETHER
from zoo.pehl.network import Regressor, weights_before_output
from zoo.pehl.residuals import patch_places, rendered, residual, taken
from zoo.pehl.zones import apart, before, iterated, left_over, nearest

RANGES = [(1.5, 1.5, 3.0), (15.0, 15.0), (15.0,)]
POINTS = np.array([[10.0, -20.0, 5.0], [-15.0, 8.0, -12.0]])
CAMERA = ConeBeam(1000.0, (64, 64), 3.0)
POSE = np.array([[4.0, -3.0, 750.0, 25.0, 5.0, -8.0]], "float32")


def small(zone=(0, 0), **options):
    model = PEHL(zone, POINTS, 30.0, RANGES, attenuates=True, **options)
    model.build()
    return model


def test_the_papers_number_of_weights():
    for count in (3, 2, 1):
        network = Regressor(18, (1.0,) * count)
        network.build()
        assert weights_before_output(network) == 660_500
        assert network.count_params() == 660_500 + 20 + 20 + 100 + 250 + 251 * count


def test_residuals_share_their_weights(rng, numpy):
    network = Regressor(3, (1.0, 2.0), size=20)
    network.build()
    residuals = rng.normal(size=(2, 3, 20, 20)).astype("float32")
    shown = np.zeros_like(residuals)
    shown[0, 1] = residuals[0, 1]  # the same patch on another path ...
    other = np.zeros_like(residuals)
    other[0, 2] = residuals[0, 1]
    kernel = network.second.kernel
    halves = numpy(kernel).reshape(3, 100, 250)
    kernel.assign(np.stack([halves[0], halves[1], halves[1]]).reshape(300, 250))
    # ... means the same where the next layer does not tell the paths apart.
    np.testing.assert_allclose(numpy(network(shown)[0]), numpy(network(other)[0]), atol=1e-4)
    np.testing.assert_allclose(
        numpy(network.offsets(residuals)), numpy(network(residuals)) * [1, 2], rtol=1e-6
    )


@pytest.mark.plain
def test_patches_lie_about_their_points(numpy):
    places = numpy(patch_places(POSE, POINTS.astype("float32"), 30.0, 8))
    view = matrix_of(np.zeros(6), np.zeros(3))[:3, :3]
    matrix = matrix_of(POSE[0], np.zeros(3))
    for point, patch in zip(POINTS, places[0], strict=True):
        x, y, z = (matrix @ [*(view.T @ point), 1])[:3]
        np.testing.assert_allclose(patch.mean(axis=(0, 1)), [x / z, y / z], atol=1e-6)
        row = patch[0, -1] - patch[0, 0]
        width = np.linalg.norm(row) * 8 / 7
        assert width == pytest.approx(30 / 750, rel=1e-4)
        assert np.rad2deg(np.arctan2(row[1], row[0])) == pytest.approx(25, abs=1e-3)
        down = patch[-1, 0] - patch[0, 0]
        assert row[0] * down[1] - row[1] * down[0] > 0 and abs(row @ down) < 1e-6


@pytest.mark.plain
def test_a_patch_of_the_drr_is_that_of_the_xray_at_the_same_pose(numpy):
    volume = implants.knee()
    model = small()
    xray = siddon(volume, CAMERA, POSE)
    scene = [np.asarray(part) for part in model.scene(volume, xray, CAMERA)]
    voxels, frame, seen, focal, principal = scene
    places = patch_places(POSE, model.points, model.width, 52)
    drr = numpy(rendered(voxels, frame, POSE, places))
    own = numpy(taken(seen, places, focal, principal))
    for one, other in zip(drr[0], own[0], strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.97
    moved = POSE + np.array([[4, 0, 0, 0, 0, 0]], "float32")
    off = numpy(taken(seen, patch_places(moved, model.points, model.width, 52), focal, principal))
    there, away = (np.abs(numpy(residual(drr, part))).mean() for part in (own, off))
    assert there < 0.5 * away


@pytest.mark.plain
def test_residuals_depend_on_neither_contrast_nor_brightness(rng, numpy):
    drr, xray = rng.normal(size=(2, 1, 2, 8, 8))
    first = numpy(residual(drr, xray))
    np.testing.assert_allclose(numpy(residual(3 * drr, 0.2 * xray + 7)), first, atol=1e-6)
    np.testing.assert_allclose(numpy(residual(drr, drr)), 0, atol=1e-9)


def test_groups_move_their_own_parameters_in_order(monkeypatch):
    model = small()
    seen = []

    def offsets(group):
        def found(residuals):
            seen.append(group)
            return keras.ops.zeros((1, len(GROUPS[group]))) + (group + 1.0)

        return found

    for group, regressor in enumerate(model.regressors):
        monkeypatch.setattr(regressor, "offsets", offsets(group))
    xray = np.zeros(CAMERA.shape)
    steps = iterated([model], implants.knee(), xray, CAMERA, POSE[0], iterations=2)
    np.testing.assert_allclose(steps - POSE, [[1, 1, 3, 1, 2, 2], [2, 2, 6, 2, 4, 4]], atol=1e-4)
    assert seen[:3] == [0, 1, 2]


def test_models_are_those_of_the_zone_or_of_the_nearest():
    models = [small(zone) for zone in ((0, 0), (1, 0), (0, -9))]
    for angles, zone in (((3, 8), (0, 0)), ((25, 4), (1, 0)), ((0, 170), (0, -9))):
        assert nearest(models, np.array([0, 0, 800, 0, *angles])).zone == zone
    whole = PEHL(None, [[0, 0, 0]], 110.0, RANGES, local=False)
    assert nearest([whole], np.array([0, 0, 800, 0, 170, 60])) is whole and whole.zone is None
    assert apart((0, 8), (-1, -9)) == 2
    with pytest.raises(InputError, match="t_z must be positive"):
        before(np.array([[0, 0, -1.0, 0, 0, 0]]))


@pytest.mark.plain
def test_a_pose_that_leaves_its_zone_is_handed_over(monkeypatch):
    models = [small(), small((0, -1))]
    moved = []
    for model in models:

        def advance(scene, pose, group, model=model):
            moved.append((model.zone, group))
            return pose - np.eye(6, dtype="float32")[5]  # a degree each

        monkeypatch.setattr(model, "advance", advance)
    both = models[0].beside(models[1])
    arguments = implants.knee(), np.zeros(CAMERA.shape), CAMERA, POSE[0]  # t_beta is -8
    answer = both.register(*arguments, iterations=2)
    np.testing.assert_allclose(answer.steps[:, 5], [-8, -11, -14])
    # Within the first iteration it crosses -10 degrees: the next group is of the next zone.
    first, second = models[0].zone, models[1].zone
    zones = [first, first, first, second, second, second]
    assert moved == list(zip(zones, [0, 1, 2, 0, 1, 2], strict=True))
    with pytest.raises(InputError, match=r"zones \[\(0, 0\), \(0, 0\)\]"):
        models[0].beside(small())
    with pytest.raises(InputError, match="of one object and of different zones"):
        models[0].beside(small((0, 1), intensity_range=(0.0, 1.0)))
    with pytest.raises(InputError, match=r"of one method. Received: \['PEHL', 'Regressor'\]"):
        models[0].beside(models[0].regressors[0])


@pytest.mark.plain
def test_the_descent_goes_on_where_the_network_ended():
    """One that finds nothing leaves all to the descent, which takes the same volume and X-ray."""
    model, volume = small(), implants.knee()
    for regressor in model.regressors:
        regressor.output_layer.kernel.assign(np.zeros(regressor.output_layer.kernel.shape))
    small_volume = volume.resample(volume.geometry.resampled(spacing=3.0))
    xray = siddon(small_volume, CAMERA, POSE)[0]
    start = POSE[0] + (1.0, -1.0, 5.0, 2.0, -4.0, 4.0)
    settings = {"iterations": 2, "refine": "gauss-newton"}
    answer = model.register(small_volume, xray, CAMERA, start, **settings)
    assert len(answer.steps) == 4
    np.testing.assert_allclose(answer.steps[:3], np.repeat(start[None], 3, axis=0), atol=1e-4)
    error = answer.error(POSE[0], corners_of(small_volume.geometry, small_volume.array > 0.05))
    assert error[3] < 0.2 * error[0]
    alone = model.register(small_volume, xray, CAMERA, start, iterations=0, refine="gauss-newton")
    np.testing.assert_allclose(alone.steps, answer.steps[[0, 3]], atol=1e-3)


def test_other_volumes_and_far_starts_are_noticed(monkeypatch):
    model, volume = small(), implants.knee()
    monkeypatch.setattr(model, "advance", lambda scene, pose, group: pose)
    arguments = {"xray": np.zeros(CAMERA.shape), "camera": CAMERA, "initial": POSE[0]}
    shape, spacing = volume.array.shape, volume.geometry.spacing
    model.preprocessing = Preprocessing(shape, spacing, (0.0, 0.1))
    model.register(volume, **arguments)
    finer = implants.knee(0.9)
    other = Image(volume.array, replace(volume.geometry, spacing=(1.2, 1.2, 1.3)))
    for wrong in (finer, other):
        with pytest.raises(InputError, match=r"knows one object, in \(\d+, \d+, \d+\) voxels of"):
            model.register(wrong, **arguments)
    hounsfield = Image(volume.array - 1000, volume.geometry)
    with pytest.raises(InputError, match="This network takes attenuation, never below 0"):
        model.register(hounsfield, **arguments)
    side = np.add(POSE[0], (0, 0, 0, 0, 0, 98))
    with pytest.warns(InputWarning, match=r"of the zone \(0, 0\), .* start is in \(0, 5\)"):
        model.register(volume, **{**arguments, "initial": side})


def test_what_is_left_over_of_starts():
    model = small()
    model.iterate = lambda scene, pose: pose  # finds nothing
    perturbation = np.array([1, 1, 10, 2, 10, 10])
    inputs = {"start": POSE + np.array([[0], [1], [2]]) * perturbation}
    inputs["xray"] = np.zeros((3, 4, 4, 1))
    for name, shape in (("volume", (1, 2, 2, 2, 1)), ("frame", (1, 3, 4)), ("focal", (1, 2))):
        inputs[name] = np.ones(shape)
    inputs["principal"] = np.ones((1, 2))
    found = left_over(model, inputs, np.repeat(POSE, 3, axis=0), batch_size=2)
    np.testing.assert_allclose(found, [0, 1, 2], atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": np.zeros((4, 2))}, r"points must be \(n, 3\)"),
        ({"width": 0.0}, "width positive"),
        ({"groups": ((0, 1), (2,))}, "groups must hold each of 0 to 5 once"),
        ({"groups": TOGETHER}, "a range for each parameter"),
        ({"local": False}, "has one point. Received: 2 points"),
    ],
)
def test_what_makes_no_model(change, message):
    arguments = {"zone": (0, 0), "points": POINTS, "width": 30.0, "ranges": RANGES}
    with pytest.raises(ValueError, match=message):
        PEHL(**{**arguments, **change})


def test_options_are_checked():
    model, volume = small(), implants.knee()
    for options, message in (
        ({"iterations": 0}, "iterations must be 1 or more, or 0 beside refine"),
        ({"iterations": -1, "refine": "gauss-newton"}, "iterations must be 1 or more"),
        ({"refine": "adam"}, "refine must be one of"),
        ({"steps": 3}, "its options are iterations, refine"),
    ):
        with pytest.raises(InputError, match=message):
            model.register(volume, np.zeros(CAMERA.shape), CAMERA, POSE[0], **options)


def test_variants_of_the_paper():
    whole = PEHL((0, 0), [[0, 0, 0]], 110.0, RANGES, local=False)
    whole.build()
    assert whole.size == 104 and [r.patches for r in whole.regressors] == [1, 1, 1]
    together = PEHL((0, 0), POINTS, 30.0, [(1.5, 1.5, 15, 3, 15, 15)], groups=TOGETHER)
    assert len(together.regressors) == 1
    assert METHOD.numbers["pehl"]["success"]["pehl 3 without hpr"] == 19.5
