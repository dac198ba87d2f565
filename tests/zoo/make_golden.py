"""Records what every preset answers on a phantom pair: ``python tests/zoo/make_golden.py``."""

import json
from pathlib import Path

import zoo
from tfreg.data import bodies, phantoms

GOLDEN = Path(__file__).parent / "golden.json"


def answer(preset):
    """NCC after registration and the displacement at three pixels, alone and refined."""
    cine = preset.startswith("dirnet-cine")
    fixed, moving, points = _hearts() if cine else _digits(preset)
    model = zoo.load(preset)
    result = {}
    # One network for hearts is refined; compiling that takes seconds for each.
    for refine in (0, 10) if not cine or preset == "dirnet-cine-bl" else (0,):
        found = model.register(fixed, moving, refine=refine)
        displacement = [found.displacement[i, j].tolist() for i, j in points]
        result[f"refine {refine}"] = {"ncc": found.similarity_after, "displacement": displacement}
    return result


def _digits(preset):
    phantom = phantoms.digits(20, seed=5)
    digit = int(preset[-1]) if preset[-1].isdigit() else 4
    return phantom.images[digit], phantom.images[digit + 10], ((9, 14), (14, 12), (20, 15))


def _hearts():
    heart = bodies.beating_hearts(1, seed=9, size=128)
    images = heart.images[0]
    return images[0], images[heart.systole], ((58, 60), (64, 75), (76, 66))


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: answer(name) for name in zoo.list_presets()}, indent=1))
