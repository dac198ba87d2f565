"""Records what every preset answers on a phantom pair: ``python tests/zoo/make_golden.py``."""

import json
from pathlib import Path

import zoo
from tfreg.data import phantoms

GOLDEN = Path(__file__).parent / "golden.json"


def answer(preset):
    """NCC after registration and the displacement at three pixels, alone and refined."""
    phantom = phantoms.digits(20, seed=5)
    digit = int(preset[-1]) if preset[-1].isdigit() else 4
    model = zoo.load(preset)
    result = {}
    for refine in (0, 10):
        found = model.register(phantom.images[digit], phantom.images[digit + 10], refine=refine)
        points = [found.displacement[i, j].tolist() for i, j in ((9, 14), (14, 12), (20, 15))]
        result[f"refine {refine}"] = {"ncc": found.similarity_after, "displacement": points}
    return result


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: answer(name) for name in zoo.list_presets()}, indent=1))
