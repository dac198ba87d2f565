"""Untrained networks as presets, for what does not depend on weights."""

from zoo.fusion.model import FusionNetwork
from zoo.presets import FORMAT, Preset, sha256_of


def fusion(folder):
    """A network that fuses; answers the path of its preset."""
    model = FusionNetwork()
    model.build()
    (folder / "weights").mkdir()
    (folder / "presets").mkdir()
    weights = folder / "weights" / "fusion-untrained.weights.h5"
    model.save_weights(weights)
    config = {"ndim": 2, "threshold": 0.6}
    one = Preset(
        name="fusion-untrained",
        format=FORMAT,
        task="fusion",
        summary="untrained",
        architecture={"class": "FusionNetwork", "config": config},
        preprocessing={"size": [16, 16], "intensity_range": None, "percentiles": [0.1, 99.9]},
        provenance={"paper": "Liu et al.", "data": "none"},
        licence="Apache-2.0",
        training={"command": "tfreg train fusion", "curve": {"iteration": [], "accuracy": []}},
        score={"metric": "accuracy", "value": 0.5, "data": "none"},
        sha256=sha256_of(weights),
        path=folder / "presets" / "fusion-untrained.json",
    )
    one.write()
    return one.path
