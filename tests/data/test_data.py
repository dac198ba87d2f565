import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from tfreg.data import PairSampler, mnist, phantoms
from tfreg.errors import InputError


@pytest.mark.parametrize("digit", range(10))
def test_phantom_displacement_is_the_truth(digit):
    phantom = phantoms.digits(8, seed=digit, which=[digit])
    grid = np.moveaxis(np.indices((28, 28), dtype="float64"), 0, -1)
    for fixed, moving in ((0, 1), (5, 2)):
        truth = phantom.displacement(fixed, moving)
        moved = map_coordinates(
            phantom.images[moving].astype("float64"), np.moveaxis(grid + truth, -1, 0), order=1
        )
        image = phantom.images[fixed].astype("float64")
        before = np.corrcoef(image.ravel(), phantom.images[moving].ravel())[0, 1]
        after = np.corrcoef(image.ravel(), moved.ravel())[0, 1]
        assert after > 0.95 and after > before  # what is missing to 1 is linear interpolation
        assert np.abs(truth).max() > 0.5


def test_phantom_displacements_compose_to_the_identity():
    phantom = phantoms.digits(2, seed=3, which=[4])
    there, back = phantom.displacement(0, 1), phantom.displacement(1, 0)
    grid = np.moveaxis(np.indices((28, 28), dtype="float64"), 0, -1)
    middle = (slice(8, 20), slice(8, 20))
    arrived = np.moveaxis((grid + there)[middle], -1, 0)
    returned = np.stack([map_coordinates(back[..., k], arrived, order=3) for k in (0, 1)], -1)
    np.testing.assert_allclose(there[middle] + returned, 0, atol=0.02)


def test_phantoms_repeat_with_their_seed_only():
    one, same, other = (phantoms.digits(20, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.images, same.images)
    assert (one.images != other.images).any()
    np.testing.assert_array_equal(one.labels, np.arange(20) % 10)
    assert (one.images.reshape(20, -1).max(axis=1) == 255).all()


def test_phantom_errors():
    with pytest.raises(ValueError, match="count"):
        phantoms.digits(0)
    with pytest.raises(ValueError, match="digits 0 to 9"):
        phantoms.digits(3, which=[12])
    with pytest.raises(ValueError, match="same digit"):
        phantoms.digits(20).displacement(0, 1)


def sampler(**options):
    labels = np.array([0] * 5 + [3] * 2 + [1] * 9)
    images = np.arange(len(labels))[:, None, None] * np.ones((1, 4, 6))
    return labels, PairSampler(images, labels, **{"batch_size": 64, "seed": 5, **options})


def test_pairs_are_of_one_class_and_never_an_image_with_itself():
    labels, pairs = sampler()
    seen = set()
    for step in range(30):
        fixed, moving = pairs.indices(step)
        assert (labels[fixed] == labels[moving]).all() and (fixed != moving).all()
        seen |= set(zip(fixed.tolist(), moving.tolist(), strict=True))
    assert len(seen) == 5 * 4 + 2 * 1 + 9 * 8  # every ordered pair turns up


def test_a_batch_is_a_function_of_seed_and_step():
    _, pairs = sampler()
    _, again = sampler()
    _, other = sampler(seed=6)
    for step in (7, 0, 3):  # in any order
        np.testing.assert_array_equal(pairs.indices(step), again.indices(step))
    assert (pairs.indices(0)[0] != other.indices(0)[0]).any()
    assert (pairs.indices(0)[0] != pairs.indices(1)[0]).any()


def test_tf_data_is_the_numpy_core():
    pytest.importorskip("tensorflow")
    _, pairs = sampler(scale=0.5)
    for step, batch in zip(range(4, 7), pairs.dataset(4, 7), strict=True):
        expected = pairs.batch(step)
        assert batch["fixed"].shape == (64, 4, 6, 1)
        for name in ("fixed", "moving"):
            np.testing.assert_array_equal(batch[name].numpy(), expected[name])


def test_pair_errors():
    with pytest.raises(ValueError, match="two images of one class"):
        PairSampler(np.zeros((3, 4, 4)), np.array([0, 0, 1]))
    with pytest.raises(ValueError, match="one length"):
        PairSampler(np.zeros((3, 4, 4)), np.array([0, 0]))


@pytest.fixture
def no_tfds(monkeypatch):
    monkeypatch.setattr(mnist, "_tfds_builder", lambda: None)


def test_mnist_absent_names_the_three_ways(monkeypatch, no_tfds):
    monkeypatch.delenv("TFREG_DATA", raising=False)
    assert not mnist.available()
    with pytest.raises(InputError, match=r"tfds build mnist.*TFREG_DATA.*phantom"):
        mnist.load("train")


def test_mnist_from_a_folder(monkeypatch, tmp_path, no_tfds):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    count = 10_020
    train = np.zeros((count, 28, 28), "uint8")
    train[:, 0, 0] = np.arange(count) % 251
    np.savez(
        tmp_path / "mnist.npz",
        x_train=train,
        y_train=np.arange(count) % 10,
        x_test=train[:7],
        y_test=np.arange(7),
    )
    parts = {split: mnist.load(split) for split in mnist.SPLITS}
    assert [len(p.images) for p in parts.values()] == [20, 10_000, 7]
    np.testing.assert_array_equal(parts["validation"].images[0], train[20])
    with pytest.raises(ValueError, match="split"):
        mnist.load("training")


def test_mnist_from_tensorflow_datasets_comes_first(monkeypatch):
    class Split:
        def __init__(self, count):
            self.count = count

        def as_numpy_iterator(self):
            for i in range(self.count):
                yield {"image": np.full((28, 28, 1), i % 256, "uint8"), "label": i % 10}

    class Builder:
        def as_dataset(self, split, shuffle_files):
            return Split(10_005 if split == "train" else 3)

    monkeypatch.setattr(mnist, "_tfds_builder", Builder)
    monkeypatch.delenv("TFREG_DATA", raising=False)
    assert mnist.available()
    assert mnist.load("train").images.shape == (5, 28, 28)
    assert mnist.load("test").labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"not a zip file at all"])
def test_damaged_mnist_is_named(monkeypatch, tmp_path, no_tfds, content):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"mnist\.npz"):
        mnist.load("test")


@pytest.mark.real_data
def test_real_mnist():
    sizes = [len(mnist.load(split).labels) for split in mnist.SPLITS]
    assert sizes == [50_000, 10_000, 10_000]
    assert np.bincount(mnist.load("test").labels).tolist()[:3] == [980, 1135, 1032]
