"""The recipe of ssEMnet's presets, runnable as ``tfreg train ssemnet``."""

import argparse
from pathlib import Path
from typing import Any, ClassVar

from tfreg.data import sections
from tfreg.registration import Preprocessing
from zoo.recipes import Recipe, Training, each
from zoo.ssemnet import METHOD
from zoo.ssemnet.crops import Crops
from zoo.ssemnet.model import SsEMnet
from zoo.ssemnet.scheme import SCHEMES
from zoo.ssemnet.start import start

SIZE = 128
VALIDATION_CROPS = 64
START_CROPS = 32


class Sections(Recipe):
    """The autoencoder of one source, on random crops; equation (3).

    The scheme decides how registering goes on, not what is trained.
    """

    name = "ssemnet"
    method = METHOD
    sources: ClassVar = each({name: sections.SOURCES[name] for name in ("vnc", "phantom")})
    iterations, batch, learning_rate = 3000, 8, 1e-3
    whole_step = False  # these convolutions take longer so

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--scheme", choices=tuple(SCHEMES), default="paper", help="of the registration, or ours"
        )

    def preset_name(self, settings: dict[str, Any]) -> str:
        suffix = "" if settings["scheme"] == "paper" else f"-{settings['scheme']}"
        return f"{self.name}-{settings['data']}{suffix}"

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        stacks = {
            split: [stack.images for stack in sections.stacks(settings["data"], split)]
            for split in ("train", "validation")
        }
        crops = Crops(stacks["train"], SIZE, settings["batch"], settings["seed"])
        held_out = Crops(stacks["validation"], SIZE, VALIDATION_CROPS).batch(0)
        model = SsEMnet(scheme=settings["scheme"])
        model.build()
        start(model, Crops(stacks["train"], SIZE, START_CROPS, settings["seed"]).batch(0)["images"])
        source = sections.SOURCES[settings["data"]]
        size = stacks["train"][0].shape[1:]
        return Training(
            model,
            crops,
            held_out,
            f"ssEMnet for serial sections, {settings['scheme']} scheme, its autoencoder trained on "
            + source.name,
            Preprocessing(size),
            f"{crops.count} sections",
            "crops, each and its reconstruction,",
        )


RECIPE = Sections()
