"""Handwritten digits of 28x28 pixels from either source: MNIST, or phantoms drawn by code."""

import functools

import numpy as np

from tfreg.data import mnist, phantoms
from tfreg.data.source import phantom
from tfreg.errors import InputError

SOURCES = {
    "mnist": mnist.SOURCE,
    "phantom": phantom(
        "phantom digits of tfreg.data.phantoms",
        "images",
        {"train": 4000, "validation": 1000, "test": 1000},
    ),
}


def load(split: str, source: str = "mnist", digit: int | None = None) -> mnist.Digits:
    """Images and labels of one split, of one digit or of all.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        source: ``"mnist"`` or ``"phantom"``.
        digit: 0 to 9; ``None``: all.

    Raises:
        ValueError: on an unknown split.
        InputError: on an unknown source or digit, or where MNIST is not found.

    Example:

    >>> from tfreg.data import digits
    >>> found = digits.load("validation", "phantom", 7)
    >>> found.images.shape, set(found.labels.tolist())
    ((100, 28, 28), {7})
    """
    if source not in SOURCES:
        raise InputError(f"source must be one of {tuple(SOURCES)}. Received: source={source}")
    if digit is not None and digit not in range(10):
        raise InputError(f"digit must be 0 to 9. Received: digit={digit}")
    images, labels = _phantoms(split) if source == "phantom" else mnist.load(split)
    keep = np.ones(len(labels), bool) if digit is None else labels == digit
    return mnist.Digits(images[keep], labels[keep])


@functools.lru_cache
def _phantoms(split: str) -> mnist.Digits:
    """Drawn once: a table asks for them digit by digit."""
    if split not in mnist.SPLITS:
        raise ValueError(f"split must be one of {mnist.SPLITS}. Received: split={split}")
    drawn = phantoms.digits(SOURCES["phantom"].splits[split], seed=1 + mnist.SPLITS.index(split))
    return mnist.Digits(drawn.images, drawn.labels)
