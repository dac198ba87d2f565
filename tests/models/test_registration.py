"""What fulfils the contract of a registration model: any answer to a pair, not networks alone."""

import keras
import numpy as np
import pytest
from keras import ops as keras_ops

from tfreg import ops
from tfreg.data import bodies
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.models.registration import RegistrationModel
from tfreg.registration import Level, Pyramid, Refinement
from tfreg.registration.answer import Estimate
from tfreg.registration.instance.optimisation import Optimisation

ONE = Pyramid((Level(grid_spacing=8, steps=20),))


class Optimiser(RegistrationModel):
    """Without weights: an optimisation on the pair at hand, by a similarity of its own."""

    task = "registration"
    options = ("steps",)

    def answer(self, pair, steps=10):
        levels = Pyramid((Level(grid_spacing=8, steps=steps),))
        found = Optimisation(similarity=_nearness, pyramid=levels)(pair)
        return Estimate(displacement=found.displacement)


def _nearness(fixed, moved, mask):
    return -keras_ops.mean((fixed - moved) ** 2, axis=(1, 2, 3))


class Agent(RegistrationModel):
    """Steps of a pixel as long as the images become more alike: a rigid transform, and its way."""

    def answer(self, pair):
        matrices, ways = [], []
        for fixed, moving in zip(pair.fixed, pair.moving, strict=True):
            shift, way = 0, []
            while len(way) < 5:
                way.append(shift)
                likeness = [np.sum(fixed * np.roll(moving, -(shift + d), 1)) for d in (-1, 0, 1)]
                shift += int(np.argmax(likeness)) - 1
            matrices.append([[1.0, 0, 0], [0, 1, shift]])
            ways.append(way)
        return Estimate(matrix=np.array(matrices, "float32"), details={"way": np.array(ways)})


class Momenta(RegistrationModel):
    """A network whose parameters are momenta, of which smoothing makes a displacement."""

    def __init__(self, **kwargs):
        super().__init__(ndim=2, **kwargs)
        self.network = keras.layers.Conv2D(2, 3, padding="same")

    def build(self, input_shape=None):
        self.network.build((None, None, None, 1))
        self.built = True

    def parameters(self, fixed, moving, training=None):
        return self.network(fixed - moving)

    def displacement(self, parameters, shape, moving_shape=None):
        return ops.smooth(parameters, (2.0, 2.0))

    def objective(self, parameters, fixed, moving):
        moved = ops.resample(moving, self.displacement(parameters, fixed.shape[1:-1]))
        energy = keras_ops.mean(parameters**2, axis=(1, 2, 3))
        return keras_ops.mean((fixed - moved) ** 2, axis=(1, 2, 3)) + 1e-3 * energy

    def answer(self, pair):
        found = super().answer(pair)
        found.details["momentum"] = found.parameters
        return found


@pytest.fixture(scope="module")
def hearts():
    found = bodies.hearts(2, seed=5, size=32)
    return found.fixed, found.moving


@pytest.mark.on_jax
def test_an_optimiser(hearts):
    model = Optimiser(ndim=2)
    few, many = (model.register(*hearts, steps=steps) for steps in (0, 20))
    assert np.abs(few.displacement).max() == 0 < np.abs(many.displacement).max()
    assert (many.similarity_after > few.similarity_after).all()
    with pytest.raises(InputError, match="no parameters to refine in steps"):
        model.register(*hearts, refine=5)
    refined = model.register(*hearts, refine=ONE, steps=20)
    assert (refined.similarity_after >= many.similarity_after - 1e-5).all()
    np.testing.assert_allclose(refined.similarity_before, many.similarity_before, atol=1e-6)
    again = Optimiser.from_config(model.get_config())
    np.testing.assert_array_equal(again.register(*hearts, steps=20).displacement, many.displacement)


def test_an_agent(hearts):
    fixed = hearts[0]
    moving = np.stack([np.roll(fixed[0], 3, axis=1), np.roll(fixed[1], -2, axis=1)])
    model = Agent(ndim=2)
    answer = model.register(fixed, moving)
    np.testing.assert_array_equal(answer.displacement[0], np.broadcast_to((0, 3), (32, 32, 2)))
    np.testing.assert_array_equal(answer.displacement[1], np.broadcast_to((0, -2), (32, 32, 2)))
    assert answer.details["way"].tolist() == [[0, 1, 2, 3, 3], [0, -1, -2, -2, -2]]
    assert answer.item(1).details["way"].tolist() == [0, -1, -2, -2, -2]
    grid = Geometry.of_shape((32, 32), (2.0, 0.5))
    there = model.register(Image(fixed[0], grid), Image(moving[0], grid))
    np.testing.assert_allclose(there.warp_points([[8.0, 30.0]]), [[9.5, 30.0]], atol=1e-5)
    rigid = Refinement("rigid", pyramid=Pyramid((Level(steps=20),)))
    refined = model.register(fixed, np.roll(moving, 1, axis=1), refine=rigid)
    assert refined.details["way"].shape == (2, 5)
    assert [report.transform for report in refined.levels] == ["rigid"]


def test_a_predictor_of_momenta(hearts, numpy):
    model = Momenta(refine_learning_rate=0.3)
    alone, refined = (model.register(*hearts, refine=steps) for steps in (0, 20))
    momentum = alone.details["momentum"]
    assert momentum.shape == (2, 32, 32, 2)
    np.testing.assert_allclose(
        numpy(model.displacement(momentum, (32, 32))), alone.displacement, atol=1e-4
    )
    images = [model.unit(image[..., None].astype("float32")) for image in hearts]
    before = numpy(model.objective(momentum, *images))
    error = np.square(images[0][..., 0] - model.unit(refined.moved[..., None])[..., 0])
    assert (error.mean(axis=(1, 2)) < before).all()


def test_a_refinement_of_its_own(hearts):
    options = {"transform": "affine", "similarity": "mse"}
    model = Optimiser(ndim=2, refinement=options)
    assert model.get_config()["refinement"] == options
    answer = model.register(*hearts, refine=Pyramid((Level(steps=3),)))
    assert answer.similarity == "mse" and answer.levels[0].transform == "affine"
    with pytest.raises(InputError, match="grid must be one of"):
        Optimiser(ndim=2, refinement={"grid": "moving"})
