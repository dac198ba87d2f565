"""The deformation of a skull from a lateral X-ray, after Pei et al. (2017), of which only the
abstract is known to us."""

from zoo.methods import Method

METHOD = Method(
    package=__name__,
    name="craniofacial",
    paper="Y. Pei, Y. Zhang, H. Qin, G. Ma, Y. Guo, T. Xu and H. Zha, Non-rigid craniofacial 2D-3D "
    "registration using CNN-based regression, DLMIA 2017",
    task="pose",
    models={"Craniofacial": "model"},
    recipes={"craniofacial-cranium": "train_cranium"},
)
