"""Networks of the zoo as methods of a benchmark: one pair, a batch, and a cold start."""

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np

import zoo
from tfreg.registration import Registration

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
    """

    def __init__(self, preset: str, refine: int | str = 0) -> None:
        self.preset = preset
        self.refine = refine
        model = zoo.load(preset)
        self._weights = model.get_weights()
        self._kind = json.dumps(zoo.describe(preset).architecture, sort_keys=True)
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
        model = _models[self._kind]
        if _loaded.get(self._kind) != self.preset:
            model.set_weights(self._weights)
            _loaded[self._kind] = self.preset
        shape = (self._kind, fixed.shape, str(self.refine))
        if shape not in _warm:
            model.register(fixed, moving, refine=self.refine)
            _warm.add(shape)
        begin = time.perf_counter()
        answer = model.register(fixed, moving, refine=self.refine)
        return answer, time.perf_counter() - begin


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
