"""Quicksilver (Yang et al., 2017): LDDMM momenta, predicted patch by patch."""

from zoo.methods import Method
from zoo.quicksilver import paper

METHOD = Method(
    package=__name__,
    name="quicksilver",
    paper="Yang et al., NeuroImage 158, 2017, doi:10.1016/j.neuroimage.2017.07.008",
    task="registration",
    models={"Quicksilver": "model", "DisplacementPrediction": "model"},
    recipes={
        "quicksilver-brain": "train_brain",
        "quicksilver-hippocampus": "train_hippocampus",
        "quicksilver-oasis2d": "train_oasis2d",
    },
    numbers={"quicksilver-hippocampus": {"target_overlap": paper.TARGET_OVERLAP}},
)
