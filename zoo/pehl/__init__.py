"""PEHL: pose estimation by hierarchical learning (Miao et al., 2016)."""

from zoo.methods import Method
from zoo.pehl import paper

METHOD = Method(
    package=__name__,
    name="pehl",
    paper="S. Miao, Z. J. Wang and R. Liao, A CNN regression approach for real-time 2D/3D "
    "registration, IEEE Transactions on Medical Imaging 35(5), 2016",
    task="pose",
    models={"PEHL": "model"},
    recipes={"pehl": "train"},
    numbers={"pehl": {"success": paper.SUCCESS, "rmse": paper.RMSE, "spread": paper.SPREAD}},
)
