"""``tfreg train RECIPE``."""

import argparse

# Each recipe is a module of the zoo with ``add_arguments(parser)`` and ``run(options)``; it loads
# only when it is named, so that `tfreg --help` stays quick.
_RECIPES = {
    "dirnet-cine": "zoo.dirnet.train_cine",
    "dirnet-mnist": "zoo.dirnet.train",
    "dlir-chest-ct": "zoo.dlir.train_chest_ct",
    "dlir-cine": "zoo.dlir.train_cine",
    "dlir-hippocampus": "zoo.dlir.train_hippocampus",
    "dlir-mnist": "zoo.dlir.train_mnist",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("recipe", choices=sorted(_RECIPES), help="which network, on which data")
    parser.add_argument(
        "options",
        nargs=argparse.REMAINDER,
        help="the recipe's own options; `tfreg train RECIPE --help` lists them",
    )


def run(options: argparse.Namespace) -> None:
    """Hands over to the recipe."""
    import importlib

    import tfreg.supported  # noqa: F401  first, since the recipes import Keras

    recipe = importlib.import_module(_RECIPES[options.recipe])
    parser = argparse.ArgumentParser(prog=f"tfreg train {options.recipe}")
    recipe.add_arguments(parser)
    recipe.run(parser.parse_args(options.options))
