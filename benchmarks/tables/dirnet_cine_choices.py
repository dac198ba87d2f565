"""What the DIRNet paper leaves open, decided on validation patients: one short training each.

Nothing here touches a test patient. A training that is in ``--runs`` already is not repeated, and
an interrupted one continues.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import pairs as data_sets
from benchmarks.harness import Row, Table, choose
from benchmarks.judge import judge, unit_of
from benchmarks.pairs import Pair
from tfreg.data import cine
from tfreg.errors import InputError
from tfreg.steps import check_steps


def percentiles(image: np.ndarray) -> np.ndarray:
    """The 1st to the 99th percentile to [0, 1], the rest cut off."""
    low, high = np.percentile(image, (1, 99))
    return (np.clip(image, low, high) - low) / max(high - low, 1e-6)


def standardised(image: np.ndarray) -> np.ndarray:
    """To mean 0 and standard deviation 1."""
    return (image - image.mean()) / max(float(image.std()), 1e-6)


@dataclass(frozen=True)
class Choice:
    """What differs from the recipe of BL as it ships.

    Attributes:
        settings: of ``zoo.dirnet.train_cine``.
        options: of the model.
        intensity: the scaling of each image; ``None``: to [0, 1].
        zero_output: whether the last layer starts with zeros, so that training starts from the
            identity.
        batch_ncc: whether the loss is one NCC over the batch in place of the mean over its pairs.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    intensity: Callable[[np.ndarray], np.ndarray] | None = None
    zero_output: bool = False
    batch_ncc: bool = False


CHOICES = {
    "bl": Choice(),
    "rate 0.001": Choice({"learning_rate": 0.001}),
    "rate 0.003": Choice({"learning_rate": 0.003}),
    "rate 0.03": Choice({"learning_rate": 0.03}),
    "last layer from zero": Choice(zero_output=True),
    "boundary edge": Choice(options={"boundary": "edge"}),
    "one NCC per batch": Choice(batch_ncc=True),
    "1st to 99th percentile": Choice(intensity=percentiles),
    "mean 0 and SD 1": Choice(intensity=standardised),
    "symmetries": Choice({"symmetries": "yes"}),
    "10000 iterations": Choice({"iterations": 10_000}),
    "plus": Choice({"variant": "plus", "symmetries": "yes"}),
    "plus without bending energy": Choice(
        {"variant": "plus", "symmetries": "yes"}, {"bending_weight": 0.0}
    ),
}
COLUMNS = {"dice": "mean ± sd", "ncc": "mean", "folding": "mean"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument("--iterations", type=int, default=1000, help="of each training")
    parser.add_argument("--batch", type=int, help="pairs per iteration (default: the recipe's)")
    parser.add_argument(
        "--data",
        choices=("auto", "all", "phantom"),
        default="auto",
        help="auto: Sunnybrook and ACDC where they are found, else phantom hearts",
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/dirnet-cine-choices"), help="the trainings go here"
    )


def run(options: argparse.Namespace) -> Table:
    """Trains once per choice, and registers the validation pairs with each."""
    names = choose(options.methods, tuple(CHOICES))
    if options.batch is not None and options.batch < 1:
        raise InputError(f"--batch must be positive. Received: {options.batch}")
    check_steps(options.iterations)
    from zoo.dirnet import train_cine

    batch = options.batch or train_cine.RECIPE.batch
    data = options.data
    if data == "auto":
        data = "all" if cine.available(train_cine.DATA["all"]) else "phantom"
    pairs = data_sets.cine("validation", "acdc" if data == "all" else "phantom")
    table = Table(
        name="dirnet-cine-choices",
        data=("ACDC" if data == "all" else "phantom hearts") + ", validation split",
        protocol=(
            "What the paper leaves open, and our additions: one training of "
            f"{options.iterations} iterations for each, `bl` as the recipe has it "
            f"(rate {train_cine.RECIPE.learning_rate:g}, falling to zero along a cosine; Glorot "
            "initialisation; coefficients outside the grid zero; NCC of each pair; images to "
            "[0, 1]), the others with one change; `plus` is the improved network, with symmetries, "
            "and the last row is it with one change. The network alone, on "
            f"{len(pairs)} registrations of {len({pair.patient for pair in pairs})} validation "
            "patients: Dice of the myocardium, NCC, share of pixels where the map folds."
        ),
        columns=COLUMNS,
        settings={"iterations": options.iterations, "batch": batch, "seed": options.seed},
    )
    for name in names:
        choice = CHOICES[name]
        settings = {
            "variant": "bl",
            "data": data,
            "symmetries": "no",
            "iterations": options.iterations,
            "batch": batch,
            "learning_rate": train_cine.RECIPE.learning_rate,
            "schedule": "cosine",
            "seed": options.seed,
            "deterministic": False,
            **choice.settings,
            "choice": name,
        }
        folder = options.runs / name.replace(" ", "-")
        found: dict[str, list[float]] = {}
        for pair, displacement in zip(
            pairs, _answers(choice, settings, folder, pairs), strict=True
        ):
            for metric, value in judge(pair, displacement, {"dice": 2}).items():
                found.setdefault(metric, []).extend(value)
        table.rows += [
            Row.of(name, "all", metric, unit_of(metric), found[metric]) for metric in COLUMNS
        ]
    return table


def _answers(
    choice: Choice, settings: dict[str, Any], folder: Path, pairs: list[Pair]
) -> np.ndarray:
    """Trains with one choice and registers the pairs."""
    import keras

    from tfreg.registration.images import unit_range
    from zoo import recipes
    from zoo.dirnet import train_cine
    from zoo.dirnet.model import variant

    keras.utils.set_random_seed(settings["seed"])
    data = train_cine.samples(settings, choice.intensity)
    model = variant(settings["variant"], (cine.SIZE, cine.SIZE), **choice.options)
    if choice.batch_ncc:
        model._similarity = _batch_ncc
    model.build()
    if choice.zero_output:
        for weight in model.regressor[-1].weights:
            weight.assign(np.zeros(weight.shape))
    train_cine.RECIPE.compile(model, settings)
    recipes.minimise(model, data.pairs, data.held_out, settings, folder)
    inputs = {
        side: unit_range(np.stack([getattr(pair, side) for pair in pairs])[..., None])
        for side in ("fixed", "moving")
    }
    if choice.intensity is not None:
        inputs = {
            side: np.stack([choice.intensity(image) for image in images])
            for side, images in inputs.items()
        }
    return model.predict(inputs, batch_size=32, verbose=0)["displacement"]


def _batch_ncc(fixed: Any, moved: Any) -> Any:
    """Minus the NCC of all pixels of a batch taken as one image."""
    from keras import ops

    from tfreg import losses

    shape = (1, -1, fixed.shape[2], fixed.shape[3])
    return -losses.ncc(ops.reshape(fixed, shape), ops.reshape(moved, shape))[0]
