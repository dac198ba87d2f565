"""What the bases of the tasks do of themselves, with the smallest models that there can be."""

import numpy as np
import pytest
from keras import ops

from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, Geometry
from tfreg.image import Image
from tfreg.models import ClassificationModel, FeatureModel, FusionModel, PoseModel


class Quarters(ClassificationModel):
    """Which quarter of an image is the brightest."""

    options = ("sharpness",)

    def build(self, input_shape=None):
        self.built = True

    def call(self, images, training=None, sharpness=10.0):
        height, width = images.shape[1] // 2, images.shape[2] // 2
        parts = [images[:, :height], images[:, height:]]
        parts = [half for part in parts for half in (part[:, :, :width], part[:, :, width:])]
        return sharpness * ops.stack([ops.mean(part, axis=(1, 2, 3)) for part in parts], axis=1)


class Shifts(FeatureModel):
    """An image, and the same shifted by a voxel along each axis."""

    def build(self, input_shape=None):
        self.built = True

    def call(self, images, training=None):
        shifted = [ops.roll(images, 1, axis) for axis in range(1, 1 + self.ndim)]
        return ops.concatenate([images, *shifted], axis=-1)


class Brighter(FusionModel):
    """The brighter of two pixels."""

    def build(self, input_shape=None):
        self.built = True

    def fused(self, first, second):
        weight = ops.cast(first > second, "float32")
        return weight * first + (1 - weight) * second, weight


class Above(PoseModel):
    """Moves the volume so far along x as the X-ray is bright, in voxels of it."""

    def build(self, input_shape=None):
        self.built = True

    def pose(self, volume, xray, camera, initial):
        assert volume.array.max() <= 1 and xray.dtype == np.float32
        step = np.eye(6)[0] * xray.mean() * volume.geometry.spacing[0] * camera.pixel[0]
        return np.stack([initial + step / 2, initial + step])


def test_a_classifier_answers_labels_names_and_probabilities(rng):
    images = 0.1 * rng.random((3, 8, 6))
    images[0, 5:, :2] += 1
    images[1, :3, 4:] += 1
    images[2, 4:, 4:] += 1
    model = Quarters(2, ["nw", "ne", "sw", "se"])
    answer = model.classify(images, batch_size=2)
    assert answer.labels.tolist() == [2, 1, 3] and answer.names.tolist() == ["sw", "ne", "se"]
    unit = [(image - image.min()) / (image.max() - image.min()) for image in images]
    halves = (slice(0, 4), slice(4, 8)), (slice(0, 3), slice(3, 6))
    logits = [[10 * u[y, x].mean() for y in halves[0] for x in halves[1]] for u in unit]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer.probabilities, expected, atol=1e-5)
    one = model.classify(images[1])
    assert (one.labels, one.names) == (1, "ne") and one.probabilities.shape == (4,)
    flat = model.classify(images, sharpness=0.0).probabilities
    np.testing.assert_allclose(flat, 0.25, atol=1e-6)


def test_a_classifier_of_two_channels_and_a_fixed_range():
    model = Quarters(2, ["a", "b", "c", "d"], channels=2, intensity_range=(-10.0, 10.0))
    images = np.full((8, 6, 2), -10.0)
    images[:4, 3:, 1] = 500.0  # cut off at 10
    answer = model.classify(images)
    expected = np.exp([0, 5, 0, 0]) / np.exp([0, 5, 0, 0]).sum()
    np.testing.assert_allclose(answer.probabilities, expected, atol=1e-5)
    with pytest.raises(InputError, match=r"2 channels. Received: shape=\(8, 6, 3\)"):
        model.classify(np.zeros((8, 6, 3)))
    assert Quarters.from_config(model.get_config()).get_config() == model.get_config()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["a"]}, r"two names or more. Received: classes=\['a'\]"),
        ({"classes": ["a", "b", "a"]}, "classes must be"),
        ({"classes": ["a", "b"], "channels": 0}, "channels=0"),
    ],
)
def test_no_classifier(options, message):
    with pytest.raises(ValueError, match=message):
        Quarters(2, **options)


@pytest.mark.parametrize("shape", [(5, 4), (3, 5, 4)])
def test_features_are_channels_of_every_voxel(rng, shape):
    model = Shifts(len(shape))
    images = rng.random((2, *shape)).astype("float32")
    found = model.features(images)
    assert found.shape == (2, *shape, 1 + len(shape)) and found.dtype == np.float32
    unit = (images[1] - images[1].min()) / (images[1].max() - images[1].min())
    expected = [unit, *(np.roll(unit, 1, axis) for axis in range(len(shape)))]
    np.testing.assert_allclose(found[1], np.stack(expected, axis=-1), atol=1e-6)
    np.testing.assert_array_equal(model.features(images[1]), found[1])


def test_two_images_are_fused(rng):
    first, second = rng.random((2, 3, 7, 5)).astype("float32")
    for image in (first, second):  # what [0, 1] does not change
        image[:, 0, 0], image[:, 0, 1] = 0, 1
    answer = Brighter(2).fuse(first, second, batch_size=2)
    np.testing.assert_allclose(answer.fused, np.maximum(first, second), atol=1e-6)
    np.testing.assert_array_equal(answer.weight, first > second)
    one = Brighter(2).fuse(first[2], second[2])
    np.testing.assert_allclose(one.fused, np.maximum(first, second)[2], atol=1e-6)
    with pytest.raises(InputError, match=r"register them first. Received: first \(3, 7, 5\)"):
        Brighter(2).fuse(first, second[:, 1:])
    with pytest.raises(InputError, match="second must hold finite values"):
        Brighter(2).fuse(first, np.full_like(second, np.nan))


def test_images_in_space_are_fused_on_one_grid(rng):
    geometry = Geometry((5, 7), (0.5, 1.0), (3.0, 4.0), np.eye(2).tolist())
    first, second = (Image(rng.random((7, 5)), geometry) for _ in range(2))
    answer = Brighter(2).fuse(first, second)
    np.testing.assert_array_equal(answer.fused, Brighter(2).fuse(first.array, second.array).fused)
    moved = Image(second.array, Geometry.of_shape((7, 5)))
    with pytest.raises(InputError, match="different grids: register them first"):
        Brighter(2).fuse(first, moved)
    with pytest.raises(InputError, match=r"in space are needed\. Received: Image and nd"):
        Brighter(2).fuse(first, second.array)


def test_a_volume_in_space_is_no_batch(rng):
    grid = Geometry((5, 7, 3), (0.5, 1.0, 2.0), (3.0, 4.0, 5.0), np.eye(3).tolist())
    first, second = (Image(rng.random((3, 7, 5)), grid) for _ in range(2))
    message = r"A volume needs axis=0, 1 or 2, .*size=\(5, 7, 3\).*, axis=None"
    with pytest.raises(InputError, match=message):
        Brighter(2).fuse(first, second)
    for model, options in ((Brighter(2), {"axis": 0}), (Brighter(3), {})):
        assert model.fuse(first, second, **options).fused.shape == (3, 7, 5)


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_range_beside_an_image_is_refused(rng, name):
    """Of a batch each image must have something in it, of a volume any slice."""
    given = dict(zip(("first", "second"), rng.random((2, 2, 7, 5)), strict=True))
    given[name][1] += 5
    message = rf"^{name} must have intensities between 0\.5 and 3, .*Received: 5\.\d+ to 5\.\d+$"
    with pytest.raises(InputError, match=message):
        Brighter(2).fuse(**given, **{f"{name}_range": (0.5, 3)})
    other = "second" if name == "first" else "first"
    with pytest.raises(InputError, match=message):
        Brighter(2, intensity_range=(0.5, 3.0)).fuse(**given, **{f"{other}_range": (0, 1)})
    answer = Brighter(2).fuse(**given, axis=0, **{f"{name}_range": (0.5, 3)})
    np.testing.assert_array_equal(getattr(answer, name)[1], 1)


def test_a_pose_is_found_from_a_volume_and_a_picture(rng):
    geometry = Geometry((5, 4, 3), (0.5, 1.0, 2.0), (0.0,) * 3, np.eye(3).tolist())
    volume = Image(9 * rng.random((3, 4, 5)), geometry)
    model = Above(attenuates=True, intensity_range=(0.0, 1.0))
    camera = ConeBeam(1000.0, (6, 8), 2.0)
    initial = [1, 2, 900, 4, 5, 6]
    answer = model.register(volume, np.full((6, 8), 4, "uint8"), camera, initial)
    np.testing.assert_allclose(answer.pose, [5, 2, 900, 4, 5, 6])
    np.testing.assert_allclose(answer.steps[:, 0], [1, 3, 5])
    np.testing.assert_allclose(answer.error(answer.pose), [4, 2, 0])
    np.testing.assert_allclose(answer.error([0, 2, 900, 4, 5, 6], [[1, 2, 3]]), [1, 3, 5])
    assert answer.image.shape == (6, 8) and answer.image.max() > 0.02
    counts = model.register(volume, np.full((6, 8), 4, "uint8"), camera, initial, exposure=True)
    np.testing.assert_allclose(counts.pose, initial)  # all that there was: no attenuation
    with pytest.raises(InputError, match=r"finds poses alone. Received: 1 models beside it"):
        model.beside(model)
    picture = np.ones((6, 8))
    hounsfield = Image(volume.array - 1000, geometry)
    with pytest.raises(InputError, match=r"takes HU, in which air is -1000. Received: 0.* to 8"):
        Above().register(volume, picture, camera, initial)
    for change, message in (
        ({"volume": hounsfield}, "takes attenuation, never below 0. Received: -999"),
        ({"volume": volume.array}, "volume must be a 3-D tfreg.Image"),
        ({"volume": Image(np.eye(3), Geometry.of_shape((3, 3)))}, "Received: 2-D"),
        ({"xray": picture[None]}, r"one image \(rows, columns\). Received: shape=\(1, 6, 8\)"),
        ({"xray": np.full((6, 8), np.inf)}, "xray must hold finite values"),
        ({"initial": [0] * 5}, r"6 finite numbers. Received: initial=\[0, 0, 0, 0, 0\]"),
        ({"camera": 1}, "camera must be a ConeBeam. Received: int"),
        ({"xray": np.ones((5, 8))}, r"same rows and columns. Received: \(5, 8\) and \(6, 8\)"),
        ({"steps": 2}, "Above does not take this option; it has none. Received: steps"),
    ):
        given = {"volume": volume, "xray": picture, "camera": camera, "initial": initial}
        with pytest.raises(InputError, match=message):
            model.register(**{**given, **change})


def test_options_and_sizes_are_checked_by_every_task():
    class Even(Shifts):
        def check_size(self, size):
            if any(n % 2 for n in size):
                raise InputError(f"sizes must be even. Received: size={size}")

    with pytest.raises(InputError, match=r"sizes must be even. Received: size=\(4, 5\)"):
        Even(2).features(np.zeros((4, 5)))
    with pytest.raises(InputError, match=r"its options are sharpness. Received: blur"):
        Quarters(2, ["a", "b", "c", "d"]).classify(np.zeros((4, 4)), blur=1)


class Means(FeatureModel):
    """The mean of five voxels along each axis, and the larger of two neighbours."""

    slab_voxels = 400

    @property
    def reach(self):
        return 2

    def build(self, input_shape=None):
        self.built = True

    def described(self, images, **options):
        found = images
        for axis in range(1, 1 + self.ndim):
            size = images.shape[axis]
            index = [np.clip(np.arange(size) + k, 0, size - 1) for k in range(-2, 3)]
            found = sum(ops.take(found, one, axis=axis) for one in index) / 5
        return ops.concatenate([found, ops.maximum(found, images)], axis=-1)


@pytest.mark.parametrize("shape", [(37, 11), (23, 6, 7), (5, 30), (6, 9, 40)])
def test_features_in_slabs_are_those_of_the_whole(rng, shape):
    images = rng.random((2, *shape)).astype("float32")
    model = Means(len(shape))
    found = model.features(images, batch_size=2)
    whole = Means(len(shape))
    whole.slab_voxels = 10**9
    np.testing.assert_allclose(found, whole.features(images), atol=1e-6)
    assert found.shape == (2, *shape, 2) and found.dtype == np.float32
