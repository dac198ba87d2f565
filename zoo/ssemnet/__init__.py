"""ssEMnet: serial sections of electron microscopy (Yoo et al., 2017)."""

from zoo.methods import Method
from zoo.ssemnet import paper

METHOD = Method(
    package=__name__,
    name="ssemnet",
    paper="Yoo et al., DLMIA 2017, arXiv:1707.07833",
    task="registration",
    models={"SsEMnet": "model"},
    recipes={"ssemnet": "train_sections"},
    numbers={"ssem-pairs": paper.PAIR, "ssem-stack": paper.STACK},
)
