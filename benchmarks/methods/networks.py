"""Networks of the zoo as methods of a benchmark: one pair, a batch, and a cold start."""

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import zoo
from benchmarks.pairs import Pair
from tfreg.errors import InputWarning
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import Registration
from tfreg.transforms import Affine

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
    """A preset with a refinement, or none, as a user registers with it.

    Args:
        preset: name of the preset.
        refine: as in ``RegistrationModel.register``.
        stages: how many of its stages run, of a network that has such; ``None``: all.
        similarity: of a named refinement; ``None``: the preset's.
        options: of the network's ``register``.

    Raises:
        ValueError: on a similarity where there is no named refinement.
    """

    def __init__(
        self,
        preset: str,
        refine: int | str = 0,
        stages: int | None = None,
        similarity: str | None = None,
        **options: Any,
    ) -> None:
        if similarity is not None and not isinstance(refine, str):
            raise ValueError(
                "similarity is of a named refinement. "
                f"Received: similarity={similarity}, refine={refine}"
            )
        self.preset = preset
        self.named = isinstance(refine, str)
        self.options: dict[str, Any] = {"refine": refine, **options}
        model = zoo.load(preset)
        if similarity is not None:
            changed = replace(model.refinement, pyramid=refine, similarity=similarity)
            self.options["refine"] = changed
        if stages is not None:
            self.options["stages"] = stages
        self._weights = model.get_weights()
        self._kind = json.dumps(zoo.describe(preset).architecture, sort_keys=True)
        self._spacing = None if model.preprocessing is None else model.preprocessing.spacing
        _models.setdefault(self._kind, model)

    def __call__(self, fixed: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, float]:
        """Registers a pair or a batch; answers displacement and seconds of the whole call.

        The clock covers all that a user waits for, preprocessing and warping included. The first
        call for a shape compiles and is made twice, so that what is timed is warm.
        """
        answer, seconds = self.register(fixed, moving)
        return answer.displacement, seconds

    def register(
        self, fixed: np.ndarray, moving: np.ndarray, **given: Any
    ) -> tuple[Registration, float]:
        """As a call, with the whole answer."""
        if fixed.ndim == _models[self._kind].ndim + 1:  # a channel axis says: a batch, no volume
            fixed, moving = fixed[..., None], moving[..., None]

        def once(model: Any) -> tuple[Registration, float]:
            answer = model.register(fixed, moving, **given, **self.options)
            return answer, answer.compile_seconds

        return self._timed(once, (fixed.shape, moving.shape))

    def pair(self, pair: Pair) -> tuple[np.ndarray, float]:
        """As a call; a named refinement looks at the masks.

        A pair that has a start, or voxels of another size than the network was trained on, is
        registered in physical space.
        """
        masks = {name: getattr(pair, name) for name in ("fixed_mask", "moving_mask")}
        masks = {name: mask for name, mask in masks.items() if self.named and mask is not None}
        if pair.start is None and not self._resampled(pair):
            given = {"spacing": pair.spacing} if self.named else {}
            answer, seconds = self.register(pair.fixed, pair.moving, **masks, **given)
            return answer.displacement, seconds
        start = np.zeros(pair.fixed.ndim) if pair.start is None else np.array(pair.start)
        fixed, moving = _image(pair.fixed, pair.spacing), _image(pair.moving, pair.spacing)
        given = {name: _image(mask, pair.spacing) for name, mask in masks.items()}
        shift = Affine(np.eye(len(start)), (start * pair.spacing)[::-1])

        def once(model: Any) -> tuple[np.ndarray, float]:
            answer = model.register(fixed, moving, initial=shift, **given, **self.options)
            return answer.displacement.field, answer.inner.compile_seconds

        with warnings.catch_warnings():  # of voxels of another size, which is known
            warnings.simplefilter("ignore", InputWarning)
            field, seconds = self._timed(once, (pair.fixed.shape, pair.moving.shape))
        return field[..., ::-1] / np.array(pair.spacing, "float32"), seconds

    def _resampled(self, pair: Pair) -> bool:
        """Whether the voxels of the network are of another size, by a tenth or more."""
        if self._spacing is None or pair.unit != "mm":
            return False
        ratio = np.array(self._spacing) / np.array(pair.spacing)
        return bool(np.abs(np.log(ratio)).max() > np.log(1.1))

    def _timed(self, once: Callable, shapes: tuple) -> tuple[Any, float]:
        """What ``once(model)`` answers, warm, and its seconds without those of compiling."""
        model = _models[self._kind]
        if _loaded.get(self._kind) != self.preset:
            model.set_weights(self._weights)
            _loaded[self._kind] = self.preset
        key = (self._kind, *shapes, *map(str, self.options.items()))
        if key not in _warm:
            once(model)
            _warm.add(key)
        begin = time.perf_counter()
        answer, compiling = once(model)
        return answer, time.perf_counter() - begin - compiling


def _image(array: np.ndarray, spacing: Sequence[float]) -> Image:
    return Image(array, Geometry.of_shape(array.shape, spacing))


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
