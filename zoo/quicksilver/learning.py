"""Training Quicksilver: momenta, the prediction network, the correction network; by all recipes."""

import argparse
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from tfreg.devices import alone
from tfreg.errors import InputError
from tfreg.registration import Preprocessing, Pyramid
from tfreg.steps import check_steps
from zoo import recipes
from zoo.quicksilver import METHOD, momenta
from zoo.quicksilver.lessons import MomentumPatches, scale_of
from zoo.quicksilver.model import DisplacementPrediction, Quicksilver
from zoo.quicksilver.momenta import Examples, Kept
from zoo.writing import read_log

HELD_OUT = 512  # patches of validation pairs


class Learning(recipes.Recipe):
    """A recipe of Quicksilver.

    Its momenta are made first, see :mod:`zoo.quicksilver.momenta`; then both networks are trained
    for ``--iterations`` each. Of two modalities the momenta are those of one, as in the paper.

    Attributes:
        pairs, validation_pairs: how many are registered for learning, and beside.
        width: of the networks, the default of ``--width``.
        together: pairs that are registered as one batch.
        lo: the levels of LDDMM by optimisation.
        mirrored: axes along which the images could as well be mirrored.
        about: what the images are, for the preset.
    """

    method = METHOD
    whole_step = False  # many features: TensorFlow's own convolutions are as fast in 2-D, too
    learning_rate = 1e-3
    batch = 32
    pairs: ClassVar[int]
    validation_pairs: ClassVar[int]
    width: ClassVar[int]
    together: ClassVar[int]
    lo: ClassVar[Pyramid] = momenta.LO
    mirrored: ClassVar[tuple[int, ...]]
    about: ClassVar[str]

    def examples(self, split: str, data: str, pairs: int, seed: int) -> Examples:
        """The images of one split, and the pairs of them that are registered."""
        raise NotImplementedError

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("--pairs", type=int, default=self.pairs, help=f"to learn from (default: {self.pairs})")
        add(
            "--width",
            type=int,
            default=self.width,
            help=f"features of the first layers (default: {self.width}; the paper has 64)",
        )
        add("--dropout", type=float, default=0.0, help="0.2: the probabilistic version (default 0)")
        add(
            "--correction-iterations",
            type=int,
            help="of the correction network (default: as many as --iterations)",
        )
        add("--no-correction", action="store_true", help="train the prediction network alone")
        add(
            "--displacements",
            action="store_true",
            help="predict displacements and no momenta, without correction: what momenta are worth",
        )
        add(
            "--remapped",
            action="store_true",
            help="two modalities: the networks see the fixed images in another contrast",
        )

    def check(self, settings: dict[str, Any]) -> None:
        if settings["correction_iterations"] is not None:
            check_steps(settings["correction_iterations"])
            if settings["no_correction"] or settings["displacements"]:
                raise InputError(
                    "--correction-iterations is of a correction network, which --no-correction and "
                    "--displacements leave out. "
                    f"Received: {settings['correction_iterations']} with one of them"
                )
        for name in ("pairs", "width"):
            if settings[name] < 1:
                raise InputError(f"--{name} must be positive. Received: {settings[name]}")
        if not 0 <= settings["dropout"] < 1:
            raise InputError(
                f"--dropout must be at least 0 and less than 1. Received: {settings['dropout']}"
            )

    def preset_name(self, settings: dict[str, Any]) -> str:
        name = super().preset_name(settings)
        name += "-lpp" if settings["dropout"] else ""
        name += "-displacements" if settings["displacements"] else ""
        return name + ("-remapped" if settings["remapped"] else "")

    def momenta(self, settings: dict[str, Any], folder: Path) -> dict[str, tuple[Examples, Kept]]:
        """The pairs of training and validation with their momenta, made where they are not there.

        Args:
            settings: ``data``, ``pairs`` and ``seed``.
            folder: of the training.
        """
        found = {}
        for split, count in (("validation", self.validation_pairs), ("train", settings["pairs"])):
            examples = self.examples(split, settings["data"], count, settings["seed"])
            place = Path(folder) / "momenta" / split
            kept = momenta.make(examples, place, self.lo, self.together, partial(_say, split))
            found[split] = examples, kept
        return found

    def prepare(self, settings: dict[str, Any], folder: Path) -> recipes.Training:
        with recipes.precision("float32"):  # what is learned from, however it is learned
            found = self.momenta(settings, folder)
        seen = remapped if settings["remapped"] else _as_it_is
        lessons = {split: _lessons(*parts, seen) for split, parts in found.items()}
        kind = DisplacementPrediction if settings["displacements"] else Quicksilver
        examples = found["train"][0]
        shape = examples.images.shape[1:]
        covers = "trained size" if examples.stated is None else "field of view"
        preprocessing = Preprocessing(shape, examples.stated, covers=covers)
        model = kind(
            len(shape),
            settings["width"],
            settings["dropout"],
            corrected=not (settings["no_correction"] or settings["displacements"]),
            weight=float(self.lo.levels[-1].weight),
            voxel_size=preprocessing.voxel_size,
        )
        if settings["displacements"]:
            with recipes.precision("float32"):
                for _, _, momenta in lessons.values():
                    momenta[:] = _displacements(model, momenta)
        model.momentum_scale = scale_of(lessons["train"][2])
        model.build()
        return recipes.Training(
            model,
            self._patches(lessons["train"], model.momentum_scale, settings),
            _held_out(lessons["validation"], model.momentum_scale),
            f"Quicksilver of width {settings['width']}, {self.about}",
            preprocessing,
            f"{len(examples)} pairs of {len(examples.images)} images",
            "patches of registered pairs",
        )

    def fit(
        self,
        training: recipes.Training,
        settings: dict[str, Any],
        folder: Path,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
    ) -> dict[str, Any]:
        """Trains the prediction network, then the correction network on what it leaves."""
        model, curves = training.model, {}
        # The momenta serve all variants of a recipe, which train beside each other.
        place_of = folder / self.preset_name(settings)

        def learn(name: str, batches: MomentumPatches, held_out: dict[str, np.ndarray]) -> Any:
            model.learn(name)
            own, place = {**settings, "learning": name}, place_of / name
            if name == "correction" and settings["correction_iterations"]:
                own["iterations"] = settings["correction_iterations"]
            self.compile(model, own)
            recipes.minimise(model, batches, held_out, own, place, callbacks, verbose)
            return read_log(place, model.metric)

        curve = learn("prediction", training.batches, training.held_out)
        if model.correction is not None:
            found = self.momenta(settings, folder)
            seen = remapped if settings["remapped"] else _as_it_is
            with alone():
                lessons = {
                    split: _left(model, *parts, seen, place_of / "left" / split)
                    for split, parts in found.items()
                }
            model.correction_scale = scale_of(lessons["train"][2])
            model.correction.set_weights(model.prediction.get_weights())
            batches = self._patches(lessons["train"], model.correction_scale, settings)
            held_out = _held_out(lessons["validation"], model.correction_scale)
            curves["correction"] = learn("correction", batches, held_out)
        model.learn(None)
        # The last curve is that of the score.
        return {**curves, "prediction": curve}

    def _patches(
        self, lessons: "Lessons", scale: float, settings: dict[str, Any]
    ) -> MomentumPatches:
        return MomentumPatches(*lessons, scale, settings["batch"], settings["seed"], self.mirrored)


def remapped(image: np.ndarray) -> np.ndarray:
    """An image in [0, 1] in another contrast: what is bright becomes dark, in a curve; the
    background stays."""
    return np.where(image > 0, 1 - 0.9 * image**0.7, 0).astype("float32")


def _as_it_is(image: np.ndarray) -> np.ndarray:
    return image


def _say(split: str, done: int, count: int) -> None:
    print(f"momenta of {split}: {done} of {count}", flush=True)


Lessons = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]


def _lessons(examples: Examples, kept: Kept, seen: Callable) -> Lessons:
    """The fixed and the moving images, and the momenta in half precision."""
    images = [seen(image) for image in examples.images]
    fixed = [images[place] for place, _ in examples.pairs]
    moving = [examples.images[place] for _, place in examples.pairs]
    return fixed, moving, [kept.load(k).astype("float16") for k in range(len(examples))]


def _displacements(model: Quicksilver, momenta: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Where momenta lead, in half precision."""
    run = model.shooting(momenta[0].shape[:-1])
    found = (run(momentum[None].astype("float32")) for momentum in momenta)
    return [keras.ops.convert_to_numpy(one)[0].astype("float16") for one in found]


def _left(
    model: Quicksilver, examples: Examples, kept: Kept, seen: Callable, folder: Path
) -> Lessons:
    """What the prediction network leaves: the fixed images pulled back, and the momenta to add."""
    weights = hashlib.sha256(b"".join(w.tobytes() for w in model.prediction.get_weights()))
    store = Kept(folder, {"weights": weights.hexdigest()})
    count = len(examples)
    for index in store.missing(count):
        fixed, moving = examples.pair(index)
        fixed, moving = (image[None, ..., None] for image in (seen(fixed), moving))
        predicted = model.predicted("prediction", fixed, moving)
        back = model.pulled_back(predicted, fixed)[0]
        store.save(index, np.concatenate([back, kept.load(index) - predicted[0]], axis=-1))
    fixed, moving, momenta = [], [], []
    for index in range(count):
        parts = store.load(index).astype("float16")
        fixed.append(parts[..., 0])
        moving.append(examples.pair(index)[1])
        momenta.append(parts[..., 1:])
    return fixed, moving, momenta


def _held_out(lessons: Lessons, scale: float) -> dict[str, np.ndarray]:
    return MomentumPatches(*lessons, scale, HELD_OUT, 0).batch(0)
