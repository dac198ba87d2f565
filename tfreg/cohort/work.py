"""What the engine asks of the work on a pair, and how it names work that is done elsewhere."""

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol


@dataclass(frozen=True)
class Pair:
    """A name, which is that of its folder, and files: ``files.named`` are paths by name."""

    name: str
    files: Any

    def plain(self) -> list[Any]:
        """As it is sent to a worker: texts alone, and paths that do not depend on where it is."""
        named = self.files.named
        return [self.name, {key: os.path.abspath(path) for key, path in named.items()}]


class Work(Protocol):
    """The work on pairs, in the process that does it.

    ``run_all`` calls ``load``, ``kind``, ``voxels``, ``register`` and ``write``, see there.
    """

    together: bool

    def pair(self, name: str, files: Mapping[str, str]) -> Any:
        """A pair from what was sent."""

    def load(self, pair: Any) -> Any: ...

    def kind(self, loaded: Any) -> tuple: ...

    def voxels(self, loaded: Any) -> int: ...

    def register(self, group: Sequence[Any]) -> list[Any]: ...

    def write(self, pair: Any, loaded: Any, answer: Any) -> dict[str, Any]: ...

    def failed(self, pair: Any, error: Exception | str) -> dict[str, Any]:
        """The row of a pair that failed, with its reason."""


@lru_cache(maxsize=1)
def work_of(name: str, options: str) -> Work:
    """Makes the work once for a process, which compiles once for all pairs of one size.

    Args:
        name: ``"module:function"`` of what is installed where it runs. Work is named, never sent:
            a worker runs no code but that.
        options: what the function takes, as JSON.
    """
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)(options)
