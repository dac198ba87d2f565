"""The recipe of the networks for digits among clutter: ``tfreg train stn-mnist-clutter``."""

from typing import Any

from zoo.stn.scheme import Scheme


class Clutter(Scheme):
    """Section 4.1 of the paper: a digit anywhere on 60x60 pixels, and pieces of six others."""

    name = "stn-mnist-clutter"
    models = ("st-cnn", "st-fcn", "cnn", "fcn")

    def kind(self, settings: dict[str, Any]) -> str:
        return "clutter"


RECIPE = Clutter()
