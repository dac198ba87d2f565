"""Presets: what a set of weights is, where it came from and how to rebuild its model.

A preset is one JSON file, ``presets/<name>.json`` in the folder of its method: task, architecture,
preprocessing, provenance, licence, training recipe and score. Its weights are in ``weights``
beside that, checked against the sha256 in the JSON whenever they are loaded.
"""

import difflib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from tfreg.errors import InputError
from zoo import methods
from zoo.tasks import TASKS, TaskName, check_preprocessing, check_score, check_task

if TYPE_CHECKING:
    from tfreg.models import (
        ClassificationModel,
        FeatureModel,
        FusionModel,
        Model,
        PoseModel,
        RegistrationModel,
    )

FORMAT = 2
# What the preprocessing says, and nothing beside it, though the model takes it as an argument.
STATED = ("intensity_range", "percentiles", "voxel_size")


@dataclass(frozen=True)
class Preset:
    """One set of weights and all that belongs to it.

    Attributes:
        name: ``method-data[-variant]``.
        format: version of this layout, 2.
        task: of :data:`zoo.tasks.TASKS`.
        summary: one line.
        architecture: ``{"class", "config"}`` of the model, without what ``preprocessing`` says.
        preprocessing: the images that it was trained on, as ``tfreg.registration.Preprocessing``.
        provenance: data, split and paper.
        licence: licence of the weights.
        training: the recipe: command, iterations, seed, optimiser, versions.
        score: ``{"metric", "value", "data"}`` on held-out data.
        sha256: hash of the weights file.
        path: where the JSON file is.
    """

    name: str
    format: int
    task: str
    summary: str
    architecture: dict[str, Any]
    preprocessing: dict[str, Any]
    provenance: dict[str, Any]
    licence: str
    training: dict[str, Any]
    score: dict[str, Any]
    sha256: str
    path: Path

    @property
    def weights_path(self) -> Path:
        """Where the weights are."""
        return self.path.parent.parent / "weights" / f"{self.name}.weights.h5"

    def write(self) -> None:
        """Writes the JSON file at ``path``, whole or not at all."""
        content = {key: value for key, value in self.__dict__.items() if key != "path"}
        text = json.dumps(content, indent=2) + "\n"
        from tfreg import io

        io.write_together(
            self.path.parent, {self.path.name: lambda path: path.write_text(text, encoding="utf-8")}
        )


def list_presets(task: TaskName | None = None) -> list[str]:
    """Names of all presets, sorted.

    Args:
        task: only those of this task.

    Raises:
        InputError: on an unknown task.

    Example:

    >>> import zoo
    >>> "dirnet-mnist-7" in zoo.list_presets(task="registration")
    True
    """
    if task is not None:
        check_task(task)
    return sorted(_paths(task))


def describe(name: str | Path, task: TaskName | None = None) -> Preset:
    """Reads a preset without building its model.

    Args:
        name: a name from :func:`list_presets`, or the JSON file that a training has left.
        task: what it is wanted for.

    Raises:
        InputError: on an unknown name, a damaged file, or a preset of another task.
    """
    paths = _paths()
    path = Path(name) if str(name).endswith(".json") else paths.get(str(name))
    if path is None or not path.is_file():
        nearest = difflib.get_close_matches(str(name), sorted(paths), 3, 0.5)
        raise InputError(
            "There is no preset of this name"
            + (f"; the nearest are {', '.join(nearest)}" if nearest else "")
            + f" (zoo.list_presets() and `tfreg models` list all). Received: {name}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        form = content["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is not a preset: {error!r}") from error
    if form != FORMAT:
        raise InputError(
            f"{path} has format {form}; this version of tfreg reads format {FORMAT}, which its "
            "recipe writes."
        )
    try:
        preset = Preset(**content, path=path)
    except TypeError as error:
        raise InputError(f"{path} is not a preset of format {FORMAT}: {error}") from error
    try:
        _check(preset)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if task is not None:
        check_task(task)
        if preset.task != task:
            raise InputError(
                f"{preset.name} {TASKS[preset.task].verb}; what is needed here {TASKS[task].verb}: "
                f"`tfreg models --task {task}` lists such presets. Received: {name}"
            )
    return preset


def sha256_of(path: Path) -> str:
    """Hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build(preset: Preset) -> "Model":
    """The preset's model, built, without its weights.

    Raises:
        InputError: if its preprocessing or its configuration cannot be.
    """
    from tfreg.models import RegistrationModel
    from tfreg.registration import Preprocessing

    name = preset.architecture["class"]
    method = methods.of_model(name)
    if method is None:  # which reading it has refused
        raise InputError(f"{preset.path}: there is no model {name}.")
    kind = getattr(method.module(method.models[name]), name)
    try:
        trained = Preprocessing(**preset.preprocessing)
    except InputError as error:
        raise InputError(f"{preset.path}: preprocessing.{error}") from error
    stated: dict[str, Any] = {
        "intensity_range": trained.intensity_range,
        "percentiles": trained.percentiles,
    }
    if issubclass(kind, RegistrationModel):
        stated["voxel_size"] = trained.voxel_size
    try:
        model = kind(**preset.architecture["config"], **stated)
    except (TypeError, ValueError) as error:
        raise InputError(f"{preset.path}: architecture.config: {error}") from error
    model.preprocessing = trained
    model.build()
    return model


@overload
def load(name: str | Path, task: Literal["registration"]) -> "RegistrationModel": ...
@overload
def load(name: str | Path, task: Literal["classification"]) -> "ClassificationModel": ...
@overload
def load(name: str | Path, task: Literal["pose"]) -> "PoseModel": ...
@overload
def load(name: str | Path, task: Literal["features"]) -> "FeatureModel": ...
@overload
def load(name: str | Path, task: Literal["fusion"]) -> "FusionModel": ...
@overload
def load(name: str | Path, task: None = None) -> "Model": ...


def load(name: str | Path, task: TaskName | None = None) -> "Model":
    """The trained model of a preset, ready for its task.

    Args:
        name: a name from :func:`list_presets`, or the JSON file that a training has left.
        task: what it is wanted for; a preset of another task is refused, and a type checker knows
            what the model can do.

    Returns:
        A model of ``tfreg.models``: what registers has ``register``, what classifies ``classify``.

    Raises:
        InputError: on an unknown name, a preset of another task, a value that this version does
            not know, or weights that are missing or are not those that the preset was published
            with.

    Example:

    >>> import zoo
    >>> model = zoo.load("dirnet-mnist-7", task="registration")
    >>> type(model).__name__
    'DIRNet'
    """
    preset = describe(name, task)
    path = preset.weights_path
    if not path.is_file():
        raise InputError(f"{path} is missing (expected sha256 {preset.sha256}).")
    found = sha256_of(path)
    if found != preset.sha256:
        raise InputError(f"{path} is damaged: expected sha256 {preset.sha256}. Received: {found}")
    model = build(preset)
    model.load_weights(path)
    return model


def _paths(task: str | None = None) -> dict[str, Path]:
    """The JSON file of every preset of the methods of a task, or of all."""
    return {
        path.stem: path
        for method in methods.find().values()
        if task in (None, method.task)
        for path in method.folder.glob("presets/*.json")
    }


def _check(preset: Preset) -> None:
    """Raises ``InputError`` on the first field that is not what it should be."""
    if preset.name != preset.path.stem:
        raise InputError(f"name must be that of the file. Received: name={preset.name!r}")
    check_task(preset.task)
    architecture = preset.architecture
    if not isinstance(architecture, dict) or set(architecture) != {"class", "config"}:
        raise InputError(
            f"architecture must hold class and config. Received: architecture={architecture}"
        )
    method = methods.of_model(architecture["class"])
    if method is None:
        raise InputError(
            "architecture.class must be a model of the zoo. "
            f"Received: architecture.class={architecture['class']!r}"
        )
    if not preset.name.startswith(f"{method.name}-"):
        raise InputError(f"name must begin with {method.name}-. Received: name={preset.name!r}")
    if method.task != preset.task:
        raise InputError(
            f"task must be {method.task}, that of {method.name}. Received: task={preset.task!r}"
        )
    for name in STATED:
        if name in architecture["config"]:
            raise InputError(
                "architecture.config must not hold what preprocessing says. "
                f"Received: architecture.config.{name}={architecture['config'][name]!r}"
            )
    check_preprocessing(preset.task, preset.preprocessing)
    check_score(preset.task, preset.score)
