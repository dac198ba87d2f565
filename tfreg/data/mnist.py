"""MNIST: 28x28 handwritten digits.

DIRNet's split: the last 10,000 of the 60,000 training images are the validation set.
"""

import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfreg.data.source import Source
from tfreg.errors import InputError

SOURCE = Source(
    "MNIST",
    "Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits, 1998",
    "CC BY-SA 3.0",
    "images",
    {"train": 50_000, "validation": 10_000, "test": 10_000},
)
SPLITS = tuple(SOURCE.splits)


class Digits(NamedTuple):
    """Images ``(n, 28, 28)`` uint8 and their digits ``(n,)``."""

    images: np.ndarray
    labels: np.ndarray


def load(split: str) -> Digits:
    """The images of one split, from wherever MNIST is on this machine.

    TensorFlow Datasets is asked first, if ``mnist`` is prepared there; then ``mnist.npz`` in the
    folder that the environment variable ``TFREG_DATA`` names.

    Args:
        split: ``"train"`` (50,000), ``"validation"`` (10,000) or ``"test"`` (10,000).

    Returns:
        The images and labels in the official order.

    Raises:
        ValueError: on an unknown split.
        InputError: if MNIST is nowhere to be found, with the three ways to get it, or if the file
            is not what it should be.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}. Received: split={split}")
    arrays = _from_tensorflow_datasets() or _from_folder()
    if arrays is None:
        raise InputError(
            "MNIST was not found. Three ways to get it: (1) `tfds build mnist` (needs `pip install "
            "tensorflow-datasets`); (2) put mnist.npz into a folder and set TFREG_DATA to it; (3) "
            "use the phantom digits, which need no files (--data phantom)."
        )
    if split == "test":
        return Digits(arrays["x_test"], arrays["y_test"])
    cut = len(arrays["x_train"]) - SOURCE.splits["validation"]
    part = slice(0, cut) if split == "train" else slice(cut, None)
    return Digits(arrays["x_train"][part], arrays["y_train"][part])


def available() -> bool:
    """Whether :func:`load` would find MNIST."""
    return _tfds_builder() is not None or _file() is not None


def _file() -> Path | None:
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / "mnist.npz" if folder else None
    return path if path is not None and path.is_file() else None


def _from_folder() -> dict[str, np.ndarray] | None:
    path = _file()
    if path is None:
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in ("x_train", "y_train", "x_test", "y_test")}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not the MNIST file of Keras' layout: {error}") from error
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
            raise InputError(
                f"{path} must hold 28x28 images and a label for each. "
                f"Received: x_{part} {images.shape}, y_{part} {labels.shape}"
            )
    if len(arrays["x_train"]) <= SOURCE.splits["validation"]:
        raise InputError(
            f"{path} must hold more than {SOURCE.splits['validation']} training images, which are "
            f"held out for validation. Received: {len(arrays['x_train'])}"
        )
    return arrays


def _tfds_builder():
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        return None
    try:
        builder = tfds.builder("mnist")
    except Exception:  # the registry is unreachable or the version is unknown: not prepared here
        return None
    return builder if Path(str(builder.data_dir)).is_dir() else None


def _from_tensorflow_datasets() -> dict[str, np.ndarray] | None:
    builder = _tfds_builder()
    if builder is None:
        return None
    arrays = {}
    for split in ("train", "test"):
        examples = list(builder.as_dataset(split=split, shuffle_files=False).as_numpy_iterator())
        arrays[f"x_{split}"] = np.stack([example["image"][..., 0] for example in examples])
        arrays[f"y_{split}"] = np.array([example["label"] for example in examples], "uint8")
    return arrays
