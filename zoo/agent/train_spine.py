"""The recipe of ``agent-spine``, runnable as ``tfreg train agent-spine``."""

from typing import ClassVar

from zoo.agent.subjects import sources_of
from zoo.agent.train import Agents
from zoo.agent.walk import Stage


class Spines(Agents):
    """Torsos in CT, and cone-beam CTs of a part of their spines."""

    name = "agent-spine"
    kind = "spine"
    sources = sources_of("spine")
    coarse: ClassVar = {
        "plus": Stage((40, 40, 40), spacing=8.0, step=4.0, limit=100, average=8),
        "paper": Stage((40, 40, 40), spacing=8.0, step=1.0, limit=400, average=1),
    }
    fine: ClassVar = {
        "plus": Stage((40, 40, 40), spacing=4.0, step=1.0, limit=40, average=8),
        "paper": Stage((40, 40, 40), spacing=4.0, step=1.0, limit=60, average=1),
    }


RECIPE = Spines()
