"""The recipe of the networks that add two digits: ``tfreg train stn-mnist-addition``."""

from typing import Any

from zoo.stn.scheme import Scheme


class Addition(Scheme):
    """Table 4 of the paper: two distorted digits, one per channel; their sum is asked for."""

    name = "stn-mnist-addition"
    models = ("2xst-fcn", "st-fcn", "cnn", "fcn")

    def kind(self, settings: dict[str, Any]) -> str:
        return "addition"


RECIPE = Addition()
