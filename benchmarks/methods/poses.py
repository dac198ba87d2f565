"""What finds the pose of an object in one X-ray, as the table of PEHL measures it."""

import functools
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import zoo
from benchmarks.methods.nanodrr_descent import NanoDRR
from benchmarks.methods.powell import powell
from tfreg.errors import InputWarning
from tfreg.registration import register_projection
from zoo.pehl.objects import Thing, middle_of

SLOW = ("powell gc", "nanodrr gc")  # a few seconds each, and more
_COUNTS = (1, 3, 6, 9)  # iterations of the networks
_VARIANTS = ("paper schedule", "without lir", "without hpr", "without psp")


class Case(NamedTuple):
    """A start and where it should end."""

    xray: np.ndarray
    true: np.ndarray
    initial: np.ndarray


class Answer(NamedTuple):
    """Where a method ended, and what it took; seconds are NaN where they were not measured."""

    pose: np.ndarray
    renderings: int
    seconds: float


class Methods:
    """All methods for one object, by the name of their line.

    Args:
        thing: the object.
        folder: of presets of one's own, which come before those of the zoo.

    Attributes:
        known: what each method does with a case, of those that are there.
        same: of networks, the same answers as poses on the way of one longer call, without times.
        absent: why others are not.
        trained: what each network was trained with, a line for each.
    """

    def __init__(self, thing: Thing, folder: Path | None = None) -> None:
        self.thing = thing
        presets = _presets(thing.name, folder)
        self._nanodrr = NanoDRR()
        known: dict[str, Callable[[Case], Answer]] = {
            "start": lambda case: Answer(case.initial, 0, 0.0),
            "powell gc": self._powell,
            "nanodrr gc": self._elsewhere,
            "gauss-newton gc": lambda case: self.descent(case, case.initial),
            "gauss-newton gc 5 tries": lambda case: self.descent(case, case.initial, tries=5),
            "gauss-newton ncc": lambda case: self.descent(case, case.initial, "ncc"),
        }
        self.absent = {}
        if self._nanodrr.missing():
            del known["nanodrr gc"]
            self.absent["nanodrr gc"] = "skipped, nanodrr is not installed."
        self.trained = [
            f"{name}: {zoo.describe(preset).training['command']}"
            for name, preset in presets.items()
        ]
        whole = _family(presets)
        front = [model for model in whole if model.zone == (0, 0)]
        for count in _COUNTS:
            known[f"pehl {count}"] = self.networks(whole, count)
        self.same = self._on_the_way(whole)
        known["pehl 3 + refine"] = self._refined(known["pehl 3"])
        known["pehl 3 in one zone"] = self.networks(front, 3)
        for part in _VARIANTS:
            known[f"pehl 3 {part}"] = self.networks(_family(presets, part), 3)
        for name in [name for name, method in known.items() if method is None]:
            del known[name]
            self.absent[name] = f"left out of the {thing.name}, there are no weights."
        self.known = known

    def close(self) -> None:
        """Ends processes."""
        self._nanodrr.close()

    def _on_the_way(self, models: Sequence[Any]) -> dict[str, Any]:
        """Answers after each number of iterations, from the poses of the most iterations."""
        if not models:
            return {}
        one = _joined(models)
        paths: dict[bytes, np.ndarray] = {}

        def answer(case: Case, count: int) -> Answer:
            key = case.initial.tobytes() + case.true.tobytes()
            if key not in paths:
                paths[key] = self._moved(one, case, max(_COUNTS)).steps
            return Answer(paths[key][count], count * len(models[0].groups), float("nan"))

        same = {f"pehl {count}": functools.partial(answer, count=count) for count in _COUNTS}
        return same | {"pehl 3 + refine": self._refined(same["pehl 3"])}

    def _moved(self, model: Any, case: Case, count: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # starts far from all zones are meant
            return model.register(
                self.thing.volume, case.xray, self.thing.camera, case.initial, iterations=count
            )

    def networks(self, models: Sequence[Any], count: int) -> Any:
        """Networks of one or several zones, ``count`` times over; ``None`` where there are none."""
        if not models:
            return None
        thing = self.thing
        one = _joined(models)
        cold = list(models)

        def register(case: Case) -> Answer:
            while cold:  # each compiles functions of its own
                model = cold.pop()
                middle = middle_of(model.zone or (0, 0))
                model.register(thing.volume, case.xray, thing.camera, middle, iterations=1)
            found = self._moved(one, case, count)
            return Answer(found.pose, count * len(models[0].groups), found.seconds)

        return register

    def descent(
        self, case: Case, initial: np.ndarray, similarity: str = "gc", tries: int = 1
    ) -> Answer:
        """Gauss and Newton's, from a pose."""
        thing = self.thing
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # no X-ray here is a negative
            found = register_projection(
                thing.volume,
                case.xray,
                thing.camera,
                initial,
                similarity,
                attenuates=thing.attenuates,
                tries=tries,
            )
        return Answer(found.pose, int(found.renderings), found.seconds)

    def _powell(self, case: Case) -> Answer:
        begin = time.perf_counter()
        found = powell(self.thing.attenuation, case.xray, self.thing.camera, case.initial)
        return Answer(found.pose, found.renderings, time.perf_counter() - begin)

    def _elsewhere(self, case: Case) -> Answer:
        begin = time.perf_counter()
        found = self._nanodrr.register(
            self.thing.attenuation, case.xray, self.thing.camera, case.initial
        )
        return Answer(found.pose, found.renderings, time.perf_counter() - begin)

    def _refined(self, register: Callable[[Case], Answer] | None) -> Any:
        if register is None:
            return None

        def refined(case: Case) -> Answer:
            first = register(case)
            more = self.descent(case, first.pose)
            seconds = first.seconds + more.seconds
            return Answer(more.pose, first.renderings + more.renderings, seconds)

        return refined


def _presets(name: str, folder: Path | None) -> dict[str, str | Path]:
    """All presets of an object by name, in the zoo or anywhere in a folder."""
    found: dict[str, str | Path] = {preset: preset for preset in zoo.list_presets("pose")}
    if folder is not None:
        found |= {path.stem: path for path in sorted(folder.glob("**/presets/*.json"))}
    return {key: value for key, value in found.items() if key.startswith(f"pehl-{name}-")}


def _joined(models: Sequence[Any]) -> Any:
    """The model of all their zones."""
    return models[0].beside(*models[1:]) if len(models) > 1 else models[0]


def _family(presets: Mapping[str, str | Path], part: str = "") -> list[Any]:
    """The models of the method, or of one of its variants."""
    suffix = "-paper" if part == "paper schedule" else f"-{part.replace(' ', '-')}"
    names = [name for name in presets if name.endswith(suffix)]
    if not part:
        names = [n for n in presets if "-without-" not in n and not n.endswith("-paper")]
    return [zoo.load(presets[name], task="pose") for name in names]
