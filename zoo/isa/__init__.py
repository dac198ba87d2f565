"""Features of stacked convolutional independent subspace analysis (Wu et al., 2013)."""

from zoo.methods import Method

METHOD = Method(
    package=__name__,
    name="isa",
    paper="Wu, Kim, Wang, Gao, Liao and Shen, MICCAI 2013, LNCS 8150",
    task="features",
    models={"StackedISA": "model"},
    recipes={"isa": "train"},
)
