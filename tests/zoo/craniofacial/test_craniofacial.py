import argparse
import json
from dataclasses import replace

import numpy as np
import pytest

import zoo
from benchmarks.tables import craniofacial as table
from tfreg.data import implants
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam
from tfreg.image import Image
from zoo.craniofacial import train_cranium as train
from zoo.craniofacial.deformation import Subspace, dense, subspace
from zoo.craniofacial.images import Pairs, Pool, bone_error, images_of
from zoo.craniofacial.model import Craniofacial
from zoo.craniofacial.train_cranium import LATERAL, RECIPE, thing

CAMERA = ConeBeam(1600.0, (32, 32), 5.0)


@pytest.fixture(scope="module")
def volume():
    image = implants.knee()
    return image.resample(image.geometry.resampled(spacing=4.0))


@pytest.fixture(scope="module")
def model(volume):
    spacing = volume.geometry.spacing[::-1]
    found = subspace(volume.array.shape, spacing, 3, 4.0, 0)
    made = Craniofacial(
        found.control, volume.array.shape, spacing, CAMERA, LATERAL, (4, 6, 8, 8), attenuates=True
    )
    made.build()
    return made


def test_a_random_field_has_its_size_and_is_smooth():
    found = subspace((20, 30, 24), (2.0, 2.5, 3.0), 6, 4.0, 0)
    rng = np.random.default_rng(1)
    fields = found.fields * np.array(found.spacing)
    drawn = np.einsum("nk,kzyxa->nzyxa", rng.normal(size=(200, 6)), fields)
    assert np.sqrt((drawn**2).sum(-1).mean()) == pytest.approx(4.0, rel=0.15)
    steps = [np.abs(np.diff(fields, axis=axis)).max() for axis in (1, 2, 3)]
    assert max(steps) < 1.5


def test_components_are_of_falling_size_and_do_not_depend_on_each_other():
    control = subspace((20, 30, 24), (2.0, 2.5, 3.0), 6, 4.0, 0).control.reshape(6, -1)
    sizes = np.linalg.norm(control, axis=1)
    assert (np.diff(sizes) <= 1e-6).all()
    overlap = control @ control.T - np.diag(sizes**2)
    np.testing.assert_allclose(overlap, 0, atol=1e-3 * sizes[0] ** 2)


def test_a_field_of_equal_control_points_is_constant():
    control = np.tile(np.array([1.0, -2.0, 3.0], "float32"), (3, 4, 5, 1))
    np.testing.assert_allclose(dense(control, (7, 8, 9))[3, 4], np.tile([1, -2, 3], (9, 1)))
    fields = Subspace(control[None], (7, 8, 9), (1.0, 2.0, 0.5)).fields
    np.testing.assert_allclose(fields[0, 0, 0, 0], [1, -1, 6], rtol=1e-6)


@pytest.mark.plain
def test_descent_finds_the_deformation(model, volume):
    scene, fields = model.scene(volume), model.subspace.fields
    true = np.array([[0.8, -0.6, 0.5]], "float32")
    xray = images_of(scene, true, "siddon")[0]
    one = model.register(volume, xray, CAMERA, LATERAL, iterations=1, refine="gauss-newton")
    start = bone_error(volume, fields, np.zeros(3), true[0], 0.05)
    assert bone_error(volume, fields, one.coefficients, true[0], 0.05) < 0.4 * start
    np.testing.assert_array_equal(one.pose, LATERAL)
    assert one.volume.array.shape == volume.array.shape == one.displacement.shape[:-1]
    assert np.abs(one.volume.array - volume.array).max() > 0.01


@pytest.mark.plain
def test_the_table_takes_every_method_to_the_same_deformations(model, volume, monkeypatch):
    hounsfield = Image(1e4 * volume.array, volume.geometry)  # bone is above 250
    model = model.from_config({**model.get_config(), "intensity_range": None})
    model.build()
    kept = {"command": "tfreg train craniofacial-cranium"}
    monkeypatch.setattr(zoo, "load", lambda name, task: model)
    monkeypatch.setattr(zoo, "describe", lambda name: argparse.Namespace(training=kept))
    monkeypatch.setattr(train, "thing", lambda data: (hounsfield, CAMERA, None, True))
    options = argparse.Namespace(cases=2, seed=0, methods="start,regressor 3,gauss-newton gc")
    found = table.run(options)
    cells = {(row.method, row.metric): row.mean for row in found.rows}
    assert cells["gauss-newton gc", "bone error"] < 0.7 * cells["start", "bone error"]
    assert cells["regressor 3", "bone error"] > 0 and found.rows[0].n == 2
    assert found.notes == ["craniofacial-cranium: tfreg train craniofacial-cranium"]
    with pytest.raises(InputError, match="--cases must be positive"):
        table.run(argparse.Namespace(cases=0))


@pytest.mark.plain
def test_the_score_is_what_training_watches(model, rng):
    """The mean over images of the root, not the root of the mean."""
    twin = model.from_config(model.get_config())
    twin.build()
    images = rng.normal(size=(8, 32, 32, 2)).astype("float32")
    wanted = (rng.normal(size=(8, 3)) * np.arange(8)[:, None]).astype("float32")
    twin.compile("adam", jit_compile=False, run_eagerly=True)
    watched = twin.evaluate(images, wanted, batch_size=8, verbose=0, return_dict=True)["error"]
    assert watched == pytest.approx(float(twin.score(images, wanted).mean()), rel=1e-4)


@pytest.mark.long
def test_a_training_leaves_a_preset_and_goes_on(tmp_path, monkeypatch, volume):
    monkeypatch.setattr(train, "thing", lambda data: (volume, CAMERA, (0.0, implants.METAL), True))
    monkeypatch.setattr(train, "HELD_OUT", 4)
    monkeypatch.setattr(train, "COMPONENTS", 2)
    settings = {
        **{"data": "phantom", "pool": 6, "iterations": 100, "batch": 2, "learning_rate": 1e-3},
        **{"schedule": "cosine", "seed": 0, "deterministic": False},
    }
    preset = RECIPE.train(settings, tmp_path, verbose=0)
    made = zoo.load(preset.path, task="pose")
    assert preset.name == "craniofacial-phantom" and len(made.subspace.control) == 2
    assert preset.score["value"] == pytest.approx(preset.training["curve"]["error"][-1], abs=2e-3)
    pool = next(tmp_path.glob("pool-phantom-6-*.npz")).stat().st_mtime_ns
    again = RECIPE.train(settings, tmp_path, verbose=0)
    assert again.score == preset.score
    assert next(tmp_path.glob("pool-phantom-6-*.npz")).stat().st_mtime_ns == pool


@pytest.mark.plain
def test_pools_are_rendered_once(model, volume, tmp_path):
    scene = model.scene(volume)
    path = tmp_path / "pool.npz"
    pool = Pool(model, scene, 5, 0, path)
    again = Pool(model, None, 5, 0, path)
    np.testing.assert_array_equal(again.xrays, pool.xrays)
    images, wanted = pool.pairs(np.array([0, 0]), np.array([True, False]))
    assert images.shape == (2, 32, 32, 2)
    np.testing.assert_allclose(images.mean(axis=(1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(wanted[0], pool.coefficients[0])
    np.testing.assert_allclose(wanted[1], pool.coefficients[0] - pool.near[0], atol=1e-6)
    batch = Pairs(pool, 4, 0).batch(3)
    assert batch["images"].dtype == batch["coefficients"].dtype == np.float32


def test_other_volumes_are_refused(model, volume):
    xray = np.zeros((32, 32))
    with pytest.raises(InputError, match="This network deforms volumes of"):
        model.register(implants.knee(), xray, CAMERA, LATERAL)
    for camera in (replace(CAMERA, shape=(16, 16)), replace(CAMERA, pixel=4.0)):
        with pytest.raises(InputError, match="This network was trained with ConeBeam"):
            model.register(volume, np.zeros(camera.shape), camera, LATERAL)
    with pytest.raises(InputError, match="was trained at one pose"):
        model.register(volume, xray, CAMERA, LATERAL + np.eye(6)[5])
    assert not model.rigid
    with pytest.raises(InputError, match="iterations must be 1 or more, or 0 beside refine"):
        model.register(volume, xray, CAMERA, LATERAL, iterations=0)


def test_what_makes_no_model():
    with pytest.raises(ValueError, match="control must be"):
        Craniofacial(np.zeros((3, 4, 4, 3)), (8, 8, 8), (1.0,) * 3, CAMERA, LATERAL)
    odd = replace(CAMERA, shape=(100, 128))
    for camera, view in ((odd, LATERAL), (CAMERA, LATERAL[:5])):
        with pytest.raises(ValueError, match="must have multiples of 16 pixels, and a view six"):
            Craniofacial(np.zeros((2, 3, 3, 3, 3)), (8, 8, 8), (1.0,) * 3, camera, view)


def test_it_is_made_again_from_its_configuration(model):
    again = Craniofacial.from_config(json.loads(json.dumps(model.get_config())))
    assert again.get_config() == model.get_config() and again.camera == CAMERA
    # What the components are like in voxels is computed once.
    assert again.fields is again.fields


def test_the_recipe_sees_the_object_from_the_side():
    volume, camera, limits, attenuates = thing("phantom")
    assert camera.shape == (128, 128) and attenuates and limits == (0.0, implants.METAL)
    assert RECIPE.preset_name({"data": "cranium"}) == "craniofacial-cranium"
    with pytest.raises(InputError, match="--pool must be positive"):
        RECIPE.check({"pool": 0})
    assert volume.geometry.ndim == 3
