"""The registration agent (Liao et al., 2017): rigid registration by twelve actions."""

from zoo.methods import Method

METHOD = Method(
    package=__name__,
    name="agent",
    paper="R. Liao, S. Miao, P. de Tournemire, S. Grbic, A. Kamen, T. Mansi and D. Comaniciu, An "
    "artificial agent for robust image registration, AAAI 2017, arXiv:1611.10336",
    task="registration",
    models={"Agent": "model"},
    recipes={"agent-brain": "train_brain", "agent-spine": "train_spine"},
)
