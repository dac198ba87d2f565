"""The models of tfreg's zoo: one folder per method, one preset per set of weights.

``zoo.list_presets()`` names them; ``zoo.load("dirnet-mnist-7")`` answers a model that registers.
"""

from zoo.presets import Preset, describe, list_presets, load

__all__ = ["Preset", "describe", "list_presets", "load"]
