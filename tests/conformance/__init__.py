"""What every preset must fulfil, whatever its method: checks by task, and examples to run them on.

A method brings its examples in a folder of tests, ``tests/zoo/<method>`` or, outside the zoo,
``tests`` in its own: ``examples.py`` with ``example(preset)``, the arguments of the model's call
for its task by name, and ``golden.json``, what each preset answered; ``pytest --record`` writes it.
Where a configuration holds what differs between networks of one form, such as the points that each
looks at, ``CONTENT`` names it.
"""

import functools
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import zoo
from zoo import methods

ROOT = Path(__file__).parent.parent / "zoo"
_MODELS: dict = {}


@dataclass(frozen=True)
class Case:
    """A preset, with the method that it belongs to."""

    preset: zoo.Preset
    method: methods.Method

    @property
    def folder(self) -> Path:
        """Where the method's tests are."""
        own = ROOT / self.method.name
        return own if own.is_dir() else self.method.folder / "tests"

    @property
    def examples(self) -> ModuleType:
        """The examples of the method."""
        return _module(self.folder / "examples.py")

    def example(self) -> dict:
        """Arguments of the model's call for its task."""
        return self.examples.example(self.preset.name)

    @property
    def form(self) -> str:
        """Its architecture, without what only fills it."""
        architecture = self.preset.architecture
        content = getattr(self.examples, "CONTENT", ())
        config = {k: v for k, v in architecture["config"].items() if k not in content}
        return json.dumps([architecture["class"], config])

    def load(self):
        """The model with these weights: one for all presets of an architecture, compiled once."""
        preset = self.preset
        kind = json.dumps([preset.architecture, preset.preprocessing])
        if kind not in _MODELS:
            _MODELS[kind] = zoo.load(preset.path)
        _MODELS[kind].set_weights(_weights(preset.path))
        return _MODELS[kind]

    @property
    def golden(self) -> dict:
        """What the preset answered when it was recorded."""
        path = self.folder / "golden.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        assert self.preset.name in known, f"run `pytest {self.folder} --record` for {path}"
        return known[self.preset.name]

    def record(self, found: dict) -> None:
        """Keeps what the preset answers now."""
        path = self.folder / "golden.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        known = dict(sorted({**known, self.preset.name: found}.items()))
        path.write_text(json.dumps(known, indent=1), encoding="utf-8")


def cases(task: str | None = None) -> list[Case]:
    """A case for each preset of a task, or of all."""
    found = [zoo.describe(name) for name in zoo.list_presets(task)]
    return [Case(one, methods.of_model(one.architecture["class"])) for one in found]


def architectures(task: str | None = None) -> list[Case]:
    """The first case of each architecture: what does not depend on weights is checked once."""
    found = {}
    for case in cases(task):
        found.setdefault(case.form, case)
    return list(found.values())


def compiled_again(found: list[Case]) -> list[Case]:
    """Cases of the form of another one that share nothing that is compiled with it."""
    first: dict = {}
    return [
        case
        for case in found
        if first.setdefault(case.form, case).preset.architecture != case.preset.architecture
    ]


def kinds(task: str | None = None) -> list[Case]:
    """The first case of each class of models and number of axes."""
    found = {}
    for case in cases(task):
        kind = case.preset.architecture["class"], len(case.preset.preprocessing["size"])
        found.setdefault(kind, case)
    return list(found.values())


def names(found: list[Case]) -> list[str]:
    """What tests of the cases are called."""
    return [case.preset.name for case in found]


@functools.cache
def _weights(path: Path) -> list:
    return zoo.load(path).get_weights()


@functools.cache
def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_of_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
