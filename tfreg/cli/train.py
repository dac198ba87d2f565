"""``tfreg train RECIPE``."""

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfreg.errors import InputError
from tfreg.steps import check_devices, check_steps

if TYPE_CHECKING:
    from zoo.recipes import Recipe

SCHEDULES = ("cosine", "constant")
# What a training does not depend on.
_ELSEWHERE = ("out", "tensorboard", "devices")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    from zoo import methods

    recipes = sorted(name for method in methods.find().values() for name in method.recipes)
    parser.add_argument("recipe", choices=recipes, help="which network, on which data")
    parser.add_argument(
        "options",
        nargs=argparse.REMAINDER,
        help="the recipe's own options; `tfreg train RECIPE --help` lists them",
    )


def run(options: argparse.Namespace) -> None:
    """Trains a network as a recipe says."""
    import tfreg.supported  # noqa: F401  first, since the recipes import Keras
    from zoo import methods

    recipe = methods.recipe(options.recipe)
    given = parser_of(recipe).parse_args(options.options)
    settings = settings_of(given)
    recipe.check(settings)
    callbacks = _prepared(given)
    name = recipe.preset_name(settings)
    folder = Path(given.out or Path("runs") / name)
    from tfreg.devices import on_devices

    with on_devices(given.devices):
        score = recipe.train(settings, folder, name, callbacks).score
    print(f"{name}: validation {score['metric']} {score['value']:.4f}, written to {folder}")


def parser_of(recipe: "Recipe") -> argparse.ArgumentParser:
    """The options of a recipe: its own, and those that all have."""
    parser = argparse.ArgumentParser(prog=f"tfreg train {recipe.name}")
    add = parser.add_argument
    sources, rate = tuple(recipe.sources), recipe.learning_rate
    add("--data", choices=sources, default=sources[0], help=f"default: {sources[0]}")
    recipe.add_arguments(parser)
    add("--iterations", type=int, default=recipe.iterations, help=f"default: {recipe.iterations}")
    add("--batch", type=int, default=recipe.batch, help=f"items each (default: {recipe.batch})")
    add("--learning-rate", type=float, default=rate, help=f"default: {rate:g}")
    add("--schedule", choices=SCHEDULES, default="cosine", help="cosine: falls to zero")
    add("--seed", type=int, default=0, help="of the weights and of the batches (default: 0)")
    add("--out", help="folder (default: runs/<name>); an unfinished run continues")
    add(
        "--devices",
        type=int,
        default=1,
        metavar="N",
        help="train on N devices, with the batches and the loss of one (default: 1); an unfinished "
        "run continues on another number",
    )
    add(
        "--bfloat16",
        action="store_true",
        help="train in mixed precision: half of the bits in the layers, faster where the device "
        "knows them; the table bfloat16 has what it costs",
    )
    add("--deterministic", action="store_true", help="the same numbers every time, slower")
    add("--tensorboard", metavar="FOLDER", help="write curves for TensorBoard there")
    return parser


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The options that identify a training, those that all recipes have checked."""
    if not options.learning_rate > 0:
        raise InputError(f"--learning-rate must be positive. Received: {options.learning_rate}")
    for name in ("iterations", "batch"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} must be positive. Received: {getattr(options, name)}")
    if options.seed < 0:
        raise InputError(f"--seed must not be negative. Received: {options.seed}")
    check_steps(options.iterations)
    check_devices(options.devices, options.batch)
    return {key: value for key, value in vars(options).items() if key not in _ELSEWHERE}


def _prepared(options: argparse.Namespace) -> Sequence[Any]:
    """Makes Keras as the options ask, and answers the callbacks that they add."""
    import keras

    if options.deterministic:
        if keras.config.backend() != "tensorflow":
            raise InputError(
                "--deterministic is TensorFlow's; set KERAS_BACKEND=tensorflow. "
                f"Received: KERAS_BACKEND={keras.config.backend()}"
            )
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    if not options.tensorboard:
        return ()
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError('--tensorboard needs: pip install "tfreg[tensorboard]"')
    return (keras.callbacks.TensorBoard(options.tensorboard),)
