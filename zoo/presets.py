"""Presets: what a set of weights is, where it came from and how to rebuild its model.

A preset is one JSON file, ``zoo/<method>/presets/<name>.json``: architecture, preprocessing,
provenance, licence, training recipe and score. Its weights are in ``zoo/<method>/weights``,
checked against the sha256 in the JSON whenever they are loaded.
"""

import difflib
import hashlib
import importlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfreg.errors import InputError

_ROOT = Path(__file__).parent

# Model classes by the name that presets use; imported on first use.
_MODELS = {"DIRNet": "zoo.dirnet.model", "DLIR": "zoo.dlir.model"}


@dataclass(frozen=True)
class Preset:
    """One set of weights and all that belongs to it.

    Attributes:
        name: ``method-data[-variant]``.
        format: version of this layout, 1.
        summary: one line.
        architecture: ``{"class", "config"}`` of the model.
        preprocessing: what ``register`` does to images first, and the size trained on.
        provenance: data, split and paper.
        licence: licence of the weights.
        training: the recipe: command, iterations, seed, optimiser, versions.
        score: ``{"metric", "value", "data", ...}`` on held-out data.
        sha256: hash of the weights file.
        path: where the JSON file is.
    """

    name: str
    format: int
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
        """Writes the JSON file at ``path``."""
        content = {key: value for key, value in self.__dict__.items() if key != "path"}
        self.path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def list_presets() -> list[str]:
    """Names of all presets, sorted.

    Example:

    >>> import zoo
    >>> "dirnet-mnist-7" in zoo.list_presets()
    True
    """
    return sorted(path.stem for path in _ROOT.glob("*/presets/*.json"))


def describe(name: str) -> Preset:
    """Reads a preset without building its model.

    Args:
        name: a name from :func:`list_presets`.

    Raises:
        InputError: on an unknown name or a damaged file.
    """
    paths = {path.stem: path for path in _ROOT.glob("*/presets/*.json")}
    if name not in paths:
        nearest = difflib.get_close_matches(str(name), sorted(paths), 3, 0.5)
        raise InputError(
            "There is no preset of this name"
            + (f"; the nearest are {', '.join(nearest)}" if nearest else "")
            + f" (zoo.list_presets() and `tfreg models` list all). Received: {name}"
        )
    try:
        content = json.loads(paths[name].read_text(encoding="utf-8"))
        preset = Preset(**content, path=paths[name])
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise InputError(f"{paths[name]} is not a preset of this version: {error}") from error
    if preset.format != 1:
        raise InputError(
            f"{paths[name]} has format {preset.format}; this version of tfreg reads format 1."
        )
    return preset


def sha256_of(path: Path) -> str:
    """Hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build(preset: Preset) -> Any:
    """The preset's model, built, without its weights."""
    name = preset.architecture["class"]
    if name not in _MODELS:
        raise InputError(f"{preset.path} names an unknown model. Received: {name}")
    model_class = getattr(importlib.import_module(_MODELS[name]), name)
    model = model_class(**preset.architecture["config"])
    model.build()
    return model


def load(name: str) -> Any:
    """The trained model of a preset, ready to register.

    Args:
        name: a name from :func:`list_presets`.

    Returns:
        A ``tfreg.registration.RegistrationModel``.

    Raises:
        InputError: on an unknown name, preprocessing that this version does not know, or weights
            that are missing or are not those that the preset was published with.

    Example:

    >>> import zoo
    >>> model = zoo.load("dirnet-mnist-7")
    >>> type(model).__name__
    'DIRNet'
    """
    preset = describe(name)
    path = preset.weights_path
    if not path.is_file():
        raise InputError(f"{path} is missing (expected sha256 {preset.sha256}).")
    found = sha256_of(path)
    if found != preset.sha256:
        raise InputError(f"{path} is damaged: expected sha256 {preset.sha256}. Received: {found}")
    from tfreg.registration import Preprocessing

    model = build(preset)
    model.load_weights(path)
    try:
        trained = Preprocessing.parse(preset.preprocessing)
        if trained.spacing is None:
            trained = replace(trained, proportions=model.voxel_size)
        model.preprocessing = trained
    except InputError as error:
        raise InputError(f"{preset.path}: {error}") from error
    return model
