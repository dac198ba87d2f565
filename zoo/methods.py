"""The methods that there are: every folder that says of itself that it is one.

A folder of the zoo is a method when its package holds a :class:`Method` by the name ``METHOD``.
Methods elsewhere are found by the entry points of installed packages, of the group
``tfreg.methods``::

    [project.entry-points."tfreg.methods"]
    mine = "my_package.mine"
"""

import functools
import importlib
import importlib.metadata
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import zoo
from tfreg.errors import InputError
from zoo.tasks import TASKS

GROUP = "tfreg.methods"


@dataclass(frozen=True)
class Method:
    """What a folder says of itself; light, so that listing methods loads no network.

    Attributes:
        package: of the folder, ``__name__``.
        name: what the names of its presets and recipes begin with.
        paper: who wrote it, and where.
        task: of :data:`zoo.tasks.TASKS`.
        models: the module of the package in which each model class is.
        recipes: the module of the package that holds the :class:`zoo.recipes.Recipe` of each name,
            called ``RECIPE``.
        numbers: what the paper says in numbers, by the name of a table, each with where it was
            read.

    Raises:
        ValueError: on a task or a name that cannot be.
    """

    package: str
    name: str
    paper: str
    task: str
    models: Mapping[str, str]
    recipes: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"task must be one of {tuple(TASKS)}. Received: task={self.task}")
        for recipe in self.recipes:
            if recipe != self.name and not recipe.startswith(f"{self.name}-"):
                raise ValueError(f"A recipe's name begins with {self.name}. Received: {recipe}")

    @property
    def folder(self) -> Path:
        """Where its modules, presets, weights and fidelity sheet are."""
        return Path(str(importlib.import_module(self.package).__file__)).parent

    @property
    def tables(self) -> dict[str, str]:
        """Its benchmark tables: modules by name, ``tables/*.py`` in its folder.

        Those of the zoo's own methods are in ``benchmarks/tables``, which may import the zoo.
        """
        return {
            path.stem.replace("_", "-"): f"{self.package}.tables.{path.stem}"
            for path in sorted(self.folder.glob("tables/[!_]*.py"))
        }

    def module(self, name: str) -> ModuleType:
        """One of its modules, loaded."""
        return importlib.import_module(f"{self.package}.{name}")


def find() -> dict[str, Method]:
    """All methods by name, sorted.

    Raises:
        InputError: on a package that cannot be loaded or holds no method, or if two methods share a
            name, a model class or a recipe.

    Example:

    >>> from zoo import methods
    >>> methods.find()["dirnet"].task
    'registration'
    """
    return _found(tuple(sys.path))


def of_model(name: str) -> Method | None:
    """The method with a model class of this name, if there is one."""
    return next((method for method in find().values() if name in method.models), None)


def recipe(name: str) -> Any:
    """The :class:`zoo.recipes.Recipe` of this name.

    Raises:
        InputError: if there is none.
    """
    known = {name: method for method in find().values() for name in method.recipes}
    if name not in known:
        raise InputError(f"recipe must be one of {', '.join(sorted(known))}. Received: {name}")
    return known[name].module(known[name].recipes[name]).RECIPE


@functools.lru_cache(maxsize=1)
def _found(path: tuple[str, ...]) -> dict[str, Method]:
    """:func:`find` for a search path of Python, on which all depends."""
    inside = [f"zoo.{module.name}" for module in pkgutil.iter_modules(zoo.__path__) if module.ispkg]
    outside = [entry.value for entry in importlib.metadata.entry_points(group=GROUP)]
    found: dict[str, Method] = {}
    for package in (*inside, *outside):
        method = _method_of(package)
        for other in found.values():
            for kind in ("models", "recipes"):
                shared = set(getattr(method, kind)) & set(getattr(other, kind))
                if shared:
                    raise InputError(
                        f"{method.package} and {other.package} share {kind}. "
                        f"Received: {', '.join(sorted(shared))}"
                    )
        if method.name in found:
            raise InputError(
                f"{method.package} and {found[method.name].package} are methods of one name. "
                f"Received: {method.name}"
            )
        found[method.name] = method
    return dict(sorted(found.items()))


def _method_of(package: str) -> Method:
    try:
        method = getattr(importlib.import_module(package), "METHOD", None)
    except (ImportError, ValueError) as error:
        raise InputError(f"The method {package} cannot be loaded: {error}") from error
    if not isinstance(method, Method):
        raise InputError(f"{package} must hold a zoo.methods.Method called METHOD.")
    return method
