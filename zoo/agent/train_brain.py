"""The recipe of ``agent-brain``, runnable as ``tfreg train agent-brain``."""

from typing import ClassVar

from zoo.agent.subjects import sources_of
from zoo.agent.train import Agents
from zoo.agent.walk import Stage


class Brains(Agents):
    """Whole brains of one person by two contrasts, one of them in a small field of view."""

    name = "agent-brain"
    kind = "brain"
    sources = sources_of("brain")
    coarse: ClassVar = {
        "plus": Stage((40, 40, 40), spacing=8.0, step=4.0, limit=100, average=8),
        "paper": Stage((40, 48, 40), spacing=4.0, step=1.0, limit=400, average=1),
    }
    fine: ClassVar = {
        "plus": Stage((40, 40, 40), spacing=4.0, step=1.0, limit=40, average=8),
        "paper": Stage((40, 48, 40), spacing=2.0, step=1.0, limit=60, average=1),
    }


RECIPE = Brains()
