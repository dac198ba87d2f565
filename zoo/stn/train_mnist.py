"""The recipe of the networks for distorted digits, runnable as ``tfreg train stn-mnist``."""

import argparse
from typing import Any

from zoo.stn.networks import DISTORTIONS
from zoo.stn.scheme import Scheme


class Distorted(Scheme):
    """Section 4.1 and Table 1 of the paper."""

    name = "stn-mnist"
    models = ("st-cnn", "st-fcn", "cnn", "fcn")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--distortion", choices=DISTORTIONS, default="r", help="default: r")

    def kind(self, settings: dict[str, Any]) -> str:
        return settings["distortion"]


RECIPE = Distorted()
