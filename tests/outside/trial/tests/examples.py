"""Phantom digits that the network has not seen."""

from tfreg.data import digits


def example(preset):
    """Six of them."""
    return {"images": digits.load("test", "phantom").images[4:10]}
