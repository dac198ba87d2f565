"""DLIR (de Vos et al., 2019)."""

from zoo.dlir import paper
from zoo.methods import Method

METHOD = Method(
    package=__name__,
    name="dlir",
    paper="de Vos et al., Medical Image Analysis 52, 2019, doi:10.1016/j.media.2018.11.010",
    task="registration",
    models={"DLIR": "model"},
    recipes={
        "dlir-chest-ct": "train_chest_ct",
        "dlir-cine": "train_cine",
        "dlir-hippocampus": "train_hippocampus",
        "dlir-mnist": "train_mnist",
    },
    numbers={"dlir-chest-ct": {"error": paper.DIRLAB}},
)
