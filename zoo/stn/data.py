"""Scenes for training, made batch by batch, and those held out, which are always the same."""

import numpy as np

from tfreg.data import Array, Batches, digits
from tfreg.data.distortions import distort
from tfreg.data.mnist import Digits
from tfreg.data.scenes import addition, cluttered, draw_places
from zoo.stn.networks import KINDS, SIZES

# Of MNIST's 60,000 training images the last 5,000 are held out: half of a split of `tfreg.data`.
_SEEDS = {"validation": 1, "test": 2}


def load(split: str, data: str = "mnist") -> Digits:
    """Digits to make scenes of.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        data: as :func:`tfreg.data.digits.load` takes it.

    Raises:
        InputError: where they are not found.
    """
    if split == "test":
        return digits.load("test", data)
    first, last = (digits.load(part, data) for part in ("train", "validation"))
    half = len(last.labels) // 2
    if split == "validation":
        return Digits(last.images[half:], last.labels[half:])
    return Digits(
        np.concatenate([first.images, last.images[:half]]),
        np.concatenate([first.labels, last.labels[:half]]),
    )


def scenes(
    kind: str, images: np.ndarray, labels: np.ndarray, others: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A scene for each digit.

    Args:
        kind: of :data:`zoo.stn.networks.KINDS`.
        images, labels: ``(n, 28, 28)`` and ``(n,)``: the digits; of an addition each is the first
            term of one sum, and the second of another.
        others: ``(m, 28, 28)``: digits that clutter is cut from.
        rng: source of the numbers.

    Returns:
        Images ``(n, height, width, channels)`` float32, in the range of ``images``, and what they
        show, ``(n,)`` int64.

    Example:

    >>> import numpy as np
    >>> from zoo.stn.data import load, scenes
    >>> digits = load("validation", "phantom")
    >>> images, sums = scenes("addition", *digits, digits.images, np.random.default_rng(0))
    >>> images.shape, bool(sums.max() > 9)
    ((500, 42, 42, 2), True)
    """
    labels = labels.astype("int64")
    if kind == "clutter":
        places = draw_places(len(images), len(others), rng)
        return cluttered(images, others, places)[..., None], labels
    if kind == "addition":
        second = rng.permutation(len(images))
        return addition(images, images[second], rng), labels + labels[second]
    return distort(images, kind, rng)[..., None], labels


def held_out(
    kind: str, split: str, data: str = "mnist", count: int | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The scenes of the validation or the test split, the same every time.

    Args:
        kind: of :data:`zoo.stn.networks.KINDS`.
        split: ``"validation"`` or ``"test"``.
        data: as in :func:`load`.
        count: only the first ones; None: all.
        seed: of the distortions; 0 are those that the presets' scores are of.

    Returns:
        As :func:`scenes`, the images in [0, 255].
    """
    images, labels = (part[:count] for part in load(split, data))
    rng = np.random.default_rng([_SEEDS[split] + len(_SEEDS) * seed, KINDS.index(kind)])
    return scenes(kind, images, labels, images, rng)


class Scenes(Batches):
    """Random scenes of training digits, distorted anew every time.

    Args:
        kind: of :data:`zoo.stn.networks.KINDS`.
        found: the digits.
        size: scenes per batch.
        seed: seed of the stream.

    Example:

    >>> from zoo.stn.data import Scenes, load
    >>> batch = Scenes("rts", load("train", "phantom"), 4).batch(0)
    >>> batch["images"].shape, batch["labels"].shape
    ((4, 42, 42, 1), (4,))
    """

    def __init__(self, kind: str, found: Digits, size: int, seed: int = 0) -> None:
        side = SIZES[kind]
        arrays = {
            "images": Array((side, side, 2 if kind == "addition" else 1)),
            "labels": Array((), "int64"),
        }
        super().__init__(size, seed, arrays, targets=("labels",), count=len(found.labels))
        self.kind = kind
        self.digits = found

    def batch(self, step: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.seed, step])
        chosen = rng.integers(self.count, size=self.batch_size)
        images, labels = (part[chosen] for part in self.digits)
        made, shown = scenes(self.kind, images, labels, self.digits.images, rng)
        return {"images": made / 255, "labels": shown}
