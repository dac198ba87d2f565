"""Time and memory of the features of one image, in a process of its own."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

REPEATS = 3
_CODE = """
import json, resource, sys, time
import numpy as np, zoo
model, image, seconds = zoo.load(sys.argv[1], task="features"), np.load(sys.argv[2]), []
for _ in range(1 + int(sys.argv[3])):
    begin = time.perf_counter()
    model.features(image)
    seconds.append(time.perf_counter() - begin)
print(json.dumps([seconds[1:], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def cost(preset: str, image: np.ndarray) -> tuple[list[float], float]:
    """Seconds of warm runs, and the peak of the memory in MiB (Linux), libraries included.

    Args:
        preset: of features.
        image: ``(*spatial,)``.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.npy"
        np.save(path, image)
        words = [sys.executable, "-c", _CODE, preset, str(path), str(REPEATS)]
        answer = subprocess.run(words, capture_output=True, text=True, check=True)
    seconds, peak = json.loads(answer.stdout.splitlines()[-1])
    return seconds, peak
