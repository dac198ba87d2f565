"""Records what every preset answers on a phantom pair: ``python tests/zoo/make_golden.py``."""

import json
from pathlib import Path

import zoo
from tfreg.data import bodies, breathing, hippocampus, phantoms, ventricles

GOLDEN = Path(__file__).parent / "golden.json"


def answer(preset):
    """NCC after registration and the displacement at three pixels, alone and refined."""
    fixed, moving, points = pair(preset)
    model = zoo.load(preset)
    result = {}
    # One network for hearts and no volume is refined; compiling that takes seconds for each.
    large = preset.startswith("dirnet-cine") or model.ndim == 3
    for refine in (0, 10) if not large or preset == "dirnet-cine-bl" else (0,):
        found = model.register(fixed, moving, refine=refine)
        displacement = [found.displacement[point].tolist() for point in points]
        result[f"refine {refine}"] = {"ncc": found.similarity_after, "displacement": displacement}
    return result


def pair(preset):
    """The phantom pair of a preset, and the places where its displacement is looked at."""
    if preset.startswith("dirnet-cine"):
        return _hearts()
    if preset.startswith("dlir-cine"):
        return _stacks()
    if preset.startswith("dlir-hippocampus"):
        return _hippocampi()
    if preset.startswith("dlir-chest-ct"):
        return _breath()
    return _digits(preset)


def _digits(preset):
    phantom = phantoms.digits(20, seed=5)
    digit = int(preset[-1]) if preset[-1].isdigit() else 4
    return phantom.images[digit], phantom.images[digit + 10], ((9, 14), (14, 12), (20, 15))


def _hearts():
    heart = bodies.beating_hearts(1, seed=9, size=128)
    images = heart.images[0]
    return images[0], images[heart.systole], ((58, 60), (64, 75), (76, 66))


def _stacks():
    stacks = ventricles.beating_stacks(1, seed=9)
    return stacks.diastole[0], stacks.systole[0], ((3, 58, 60), (6, 64, 75), (8, 76, 66))


def _hippocampi():
    fixed, moving = hippocampus.subjects("test", "phantom").images[:2]
    return fixed, moving, ((20, 30, 22), (24, 40, 26), (28, 22, 20))


def _breath():
    breath = breathing.make("validation", shape=(48, 56, 56), spacing=(5.0, 5.0, 5.0))
    extent = breathing.HIGHEST - breathing.LOWEST
    fixed, moving = (breathing.LOWEST + extent * i for i in (breath.fixed, breath.moving))  # HU
    return fixed, moving, ((20, 24, 16), (28, 30, 40), (36, 28, 18))


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: answer(name) for name in zoo.list_presets()}, indent=1))
