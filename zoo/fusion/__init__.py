"""CNN image fusion (Liu et al., 2017)."""

from zoo.methods import Method

METHOD = Method(
    package=__name__,
    name="fusion",
    paper="Liu, Chen, Cheng and Peng, FUSION 2017, IEEE 8009769",
    task="fusion",
    models={"FusionNetwork": "model"},
    recipes={"fusion": "train_focus"},
)
