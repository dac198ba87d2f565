"""DIRNet (de Vos et al., 2017)."""

from zoo.dirnet import paper
from zoo.methods import Method

METHOD = Method(
    package=__name__,
    name="dirnet",
    paper="de Vos et al., DLMIA 2017, doi:10.1007/978-3-319-67558-9_24",
    task="registration",
    models={"DIRNet": "model"},
    recipes={"dirnet-cine": "train_cine", "dirnet-mnist": "train_mnist"},
    numbers={
        "dirnet-cine": {
            "table": paper.CINE_TABLE,
            "iterations": paper.CINE_ITERATIONS,
            "ncc": paper.CINE_NCC,
        },
        "dirnet-mnist": {"iterations": paper.MNIST_ITERATIONS, "ncc": paper.MNIST_NCC},
    },
)
