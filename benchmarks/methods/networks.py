"""Networks of the zoo as methods of a benchmark: one pair, a batch, and a cold start."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import zoo
from benchmarks.methods.regrid import Grid
from benchmarks.pairs import Pair, confined
from tfreg.registration import Registration, register
from tfreg.registration.pyramid import refinement

# Networks of one architecture share one model and its compiled functions and take turns with their
# weights, off the clock: ten networks compile once, not ten times.
_models: dict[str, Any] = {}
_loaded: dict[str, str] = {}
_warm: set[tuple] = set()

_COLD = """
import json, resource, sys, time
begin = time.perf_counter()
import numpy as np
import zoo
pair = np.random.default_rng(0).random((2, *json.loads(sys.argv[2])))
zoo.load(sys.argv[1]).register(pair[0], pair[1], refine=int(sys.argv[3]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([time.perf_counter() - begin, peak]))
"""


class Network:
    """A preset with a refinement, or none.

    Args:
        preset: name of the preset.
        refine: as in ``RegistrationModel.register``.
        stages: how many of its stages run, of a network that has such; ``None``: all.
        similarity: of a named refinement, as :func:`tfreg.registration.register` takes it; of one
            in steps and of the network alone it is NCC.

    Raises:
        ValueError: on another similarity where there is no named refinement.
    """

    def __init__(
        self,
        preset: str,
        refine: int | str = 0,
        stages: int | None = None,
        similarity: str = "ncc",
    ) -> None:
        if similarity != "ncc" and not isinstance(refine, str):
            raise ValueError(
                "similarity is of a named refinement. "
                f"Received: similarity={similarity}, refine={refine}"
            )
        self.preset = preset
        self.refine = refine
        self.similarity = similarity
        self.options = {} if stages is None else {"stages": stages}
        model = zoo.load(preset)
        self._weights = model.get_weights()
        about = zoo.describe(preset)
        self._kind = json.dumps(about.architecture, sort_keys=True)
        self._spacing = about.preprocessing.get("spacing")
        _models.setdefault(self._kind, model)

    def __call__(self, fixed: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, float]:
        """Registers a pair or a batch; answers displacement and seconds of the whole call.

        The clock covers all that a user waits for, preprocessing and warping included. The first
        call for a shape compiles and is made twice, so that what is timed is warm.
        """
        answer, seconds = self.register(fixed, moving)
        return answer.displacement, seconds

    def register(self, fixed: np.ndarray, moving: np.ndarray) -> tuple[Registration, float]:
        """As a call, with the whole answer."""

        def once(model: Any) -> tuple[Registration, float]:
            return model.register(fixed, moving, refine=self.refine, **self.options), 0.0

        return self._timed(once, (fixed.shape, moving.shape))

    def pair(self, pair: Pair) -> tuple[np.ndarray, float]:
        """As a call, from the start of a pair; a named refinement looks at its mask alone.

        The network sees voxels of the size that it was trained on. Where there are masks of both
        images, the refinement sees the pair as :func:`benchmarks.pairs.confined` shows it.
        """
        shape, by_pyramid = pair.fixed.shape, isinstance(self.refine, str)
        grid = self._grid(pair)
        plain = pair.start is None and pair.fixed_mask is None and grid is None
        if plain and self.similarity == "ncc":
            return self(pair.fixed, pair.moving)
        # Whole voxels, so that nothing is interpolated twice; the network finds the rest, from half
        # a voxel further off than others at most.
        shift = np.rint(np.zeros(len(shape)) if pair.start is None else pair.start).astype(int)

        def once(model: Any) -> tuple[np.ndarray, float]:
            images = pair.fixed, pair.moving
            if pair.start is not None or grid is not None:
                sizes = zip(shape, shift, pair.moving.shape, strict=True)
                index = np.ix_(*(np.clip(np.arange(n) + s, 0, m - 1) for n, s, m in sizes))
                images = pair.fixed, pair.moving[index]
            if grid is not None:
                images = tuple(grid.image(image) for image in images)
            answer = model.register(
                *images, refine=0 if by_pyramid else self.refine, **self.options
            )
            displacement = answer.displacement
            if grid is not None:
                displacement = grid.displacement(displacement)
            displacement = displacement + shift.astype("float32")
            if not by_pyramid:
                return displacement, 0.0
            shown = confined(pair)
            better = register(
                *(shown.fixed, shown.moving),
                spacing=pair.spacing,
                similarity=self.similarity,
                pyramid=refinement(self.refine, shape, pair.spacing),
                start=displacement,
                fixed_mask=shown.fixed_mask,
            )
            return better.displacement, better.compile_seconds

        return self._timed(once, (shape, pair.moving.shape))

    def _grid(self, pair: Pair) -> Grid | None:
        """The grid of the network, where its voxels are of another size by a tenth or more."""
        if self._spacing is None or pair.unit != "mm":
            return None
        ratio = np.array(self._spacing, float) / np.array(pair.spacing)
        same = np.abs(np.log(ratio)).max() < np.log(1.1)
        return None if same else Grid(pair.fixed.shape, pair.spacing, self._spacing)

    def _timed(self, once: Callable, shapes: tuple) -> tuple[Any, float]:
        """What ``once(model)`` answers, warm, and its seconds without those of compiling."""
        model = _models[self._kind]
        if _loaded.get(self._kind) != self.preset:
            model.set_weights(self._weights)
            _loaded[self._kind] = self.preset
        key = (self._kind, *shapes, str(self.refine), self.similarity, *self.options.items())
        if key not in _warm:
            once(model)
            _warm.add(key)
        begin = time.perf_counter()
        answer, compiling = once(model)
        return answer, time.perf_counter() - begin - compiling


def cold_start(preset: str, size: tuple[int, ...], refine: int) -> tuple[float, float]:
    """Seconds from a fresh interpreter to the first answer, imports included, and peak MiB."""
    answer = subprocess.run(
        [sys.executable, "-c", _COLD, preset, json.dumps(size), str(refine)],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, peak = json.loads(answer.stdout.strip().splitlines()[-1])
    return seconds, peak
