"""What test_data.py does not ask of MNIST: the files that are almost right, and the real values."""

import numpy as np
import pytest

from tfreg.data import mnist
from tfreg.errors import InputError


def arrays(count=6, shape=(28, 28)):
    return {
        "x_train": np.zeros((count, *shape), "uint8"),
        "y_train": np.zeros(count, "uint8"),
        "x_test": np.zeros((count, *shape), "uint8"),
        "y_test": np.zeros(count, "uint8"),
    }


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(mnist, "_tfds_builder", lambda: None)
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    return tmp_path


def test_a_file_without_labels_is_refused(folder):
    content = arrays()
    del content["y_test"]
    np.savez(folder / "mnist.npz", **content)
    with pytest.raises(InputError, match=r"mnist\.npz.*y_test"):
        mnist.load("test")


def test_images_of_another_size_are_refused(folder):
    np.savez(folder / "mnist.npz", **arrays(shape=(32, 32)))
    with pytest.raises(InputError, match=r"28x28.*32"):
        mnist.load("test")


def test_a_truncated_file_is_named(folder):
    path = folder / "mnist.npz"
    np.savez(path, **arrays())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"mnist\.npz"):
        mnist.load("test")


def test_too_few_images_for_the_split_are_refused(folder):
    """Fewer than the 10,000 of the validation set leave no training images."""
    np.savez(folder / "mnist.npz", **arrays(count=50))
    with pytest.raises(InputError, match=r"mnist\.npz"):
        mnist.load("train")


@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_must_match_the_images(folder, split):
    np.savez(folder / "mnist.npz", **{**arrays(), f"y_{split}": np.zeros(4, "uint8")})
    with pytest.raises(InputError, match=r"mnist\.npz"):
        mnist.load(split)


def test_an_empty_folder_is_not_mnist(folder):
    assert not mnist.available()
    with pytest.raises(InputError, match="Three ways"):
        mnist.load("test")


@pytest.mark.real_data
def test_real_values():
    for split, count in zip(mnist.SPLITS, (50_000, 10_000, 10_000), strict=True):
        images, labels = mnist.load(split)
        assert images.shape == (count, 28, 28) and images.dtype == np.uint8
        assert labels.shape == (count,) and {*labels.tolist()} == {*range(10)}
        assert images.min() == 0 and images.max() == 255
    assert mnist.load("train").labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.load("test").labels[:5].tolist() == [7, 2, 1, 0, 4]
