"""Spatial Transformer Networks (Jaderberg et al., 2015)."""

from zoo.methods import Method
from zoo.stn import paper

METHOD = Method(
    package=__name__,
    name="stn",
    paper="Jaderberg et al., NIPS 2015, arXiv:1506.02025",
    task="classification",
    models={"SpatialTransformerNetwork": "model"},
    recipes={
        "stn-mnist": "train_mnist",
        "stn-mnist-addition": "train_addition",
        "stn-mnist-clutter": "train_clutter",
    },
    numbers={
        "stn-mnist": paper.DISTORTED,
        "stn-mnist-addition": paper.ADDITION,
        "stn-mnist-clutter": paper.CLUTTER,
    },
)
