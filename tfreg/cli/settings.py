"""How the commands ``register`` and ``batch`` are to register: their common options."""

import argparse
from dataclasses import dataclass, field, replace
from typing import Any

from tfreg.cli.space import add_nifti_space
from tfreg.errors import InputError

_PYRAMIDS = ("fast", "default", "accurate")
_NETWORK = ("memory_gib", "stages")
ALIGNMENTS = ("geometry", "centre", "mass", "search")


@dataclass(frozen=True)
class Settings:
    """How to register.

    Attributes:
        model: name of a preset, or ``None``: without a network.
        refine: as in ``RegistrationModel.register``.
        initial: ``"geometry"``, ``"centre"``, ``"mass"``, ``"search"`` or the path of a transform.
        network: further arguments of the network's ``register``, see its ``options``.
        transform, pyramid: as in ``tfreg.registration.register``; ``None`` with a network, or what
            the task says.
        similarity: the same, or that of the refinement of a network's answer; ``None``: what it is
            by default, or for the task; names and weights as ``lncc=1,mind=0.5``.
        confine: whether nothing outside both masks is seen, by the same; ``None``: as the task or
            the preset has it.
        nifti_space: as in ``tfreg.io.read``.
        task: ``settings`` of ``tfreg.registration.register``, or ``None``.
        symmetric: as in ``tfreg.registration.register``.
    """

    model: str | None
    refine: int | str
    initial: str
    transform: tuple[str, ...] | None
    similarity: str | None
    pyramid: str | None
    confine: bool | None = None
    network: dict[str, Any] = field(default_factory=dict)
    nifti_space: str | None = None
    task: str | None = None
    symmetric: bool = False

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Settings":
        """Those of a command line.

        Raises:
            InputError: where an option would have no effect.
        """
        if options.model is not None:
            for name in ("transform", "pyramid", "settings", "symmetric"):
                value = getattr(options, name)
                if value not in (None, False):
                    raise InputError(
                        f"--{name} is for registering without a network; leave out --model or it. "
                        f"Received: {value}"
                    )
            further = {name: getattr(options, name) for name in _NETWORK}
            further = {name: value for name, value in further.items() if value is not None}
            for name, value in (("similarity", options.similarity), ("confine", options.confine)):
                if value is not None and not isinstance(options.refine, str):
                    raise InputError(
                        f"--{name} with --model is of a refinement by fast, default or accurate; "
                        f"name one with --refine. Received: --refine {options.refine}"
                    )
            return cls(
                options.model,
                options.refine or 0,
                options.init,
                None,
                options.similarity,
                None,
                options.confine,
                further,
                options.nifti_space,
            )
        if options.refine is not None:
            raise InputError(
                f"--refine refines what a network answers; name one with --model. "
                f"Received: {options.refine}"
            )
        for name in _NETWORK:
            if getattr(options, name) is not None:
                raise InputError(
                    f"--{name.replace('_', '-')} is for a network; name one with --model. "
                    f"Received: {getattr(options, name)}"
                )
        task, kinds = options.settings, None
        if options.transform or task is None:
            kinds = tuple(word.strip() for word in (options.transform or "bspline").split(","))
        return cls(
            None,
            0,
            options.init,
            kinds,
            options.similarity or (None if task else "ncc"),
            options.pyramid or "default",
            options.confine,
            nifti_space=options.nifti_space,
            task=task,
            symmetric=options.symmetric,
        )

    @property
    def optimisation(self) -> dict[str, Any]:
        """The arguments of ``tfreg.registration.register`` that say how, without a network."""
        return {
            "settings": self.task,
            "transform": self.transform,
            "similarity": similarity_of(self.similarity),
            "pyramid": self.pyramid,
            "confine": self.confine,
            "symmetric": self.symmetric,
        }

    def refinement(self, model: Any) -> Any:
        """What the model's ``register`` takes as ``refine``: its own refinement, changed."""
        if self.similarity is None and self.confine is None:
            return self.refine
        similarity = similarity_of(self.similarity)
        changes = {} if similarity is None else {"similarity": similarity}
        changes |= {} if self.confine is None else {"confine": self.confine}
        return replace(model.refinement, pyramid=self.refine, **changes)

    def record(self) -> dict[str, Any]:
        """What decides the answer, beside the images, as JSON has it."""
        found = {"model": self.model, "refine": self.refine, "initial": self.initial}
        found |= self.network
        if self.model is None:
            found |= {} if self.task is None else {"settings": self.task}
            found |= {} if self.transform is None else {"transform": list(self.transform)}
            found["pyramid"] = self.pyramid
        found |= {} if self.similarity is None else {"similarity": self.similarity}
        found |= {} if self.confine is None else {"confine": self.confine}
        found |= {"symmetric": True} if self.symmetric else {}
        if self.nifti_space is not None:
            found["nifti_space"] = self.nifti_space
        return found


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declares the options of :class:`Settings`, and those of what is written."""
    parser.add_argument(
        "-m", "--model", help="a preset, see `tfreg models`; without one no network is used"
    )
    parser.add_argument(
        "--refine",
        type=_refinement,
        metavar="N",
        help="instance optimisation: steps on the network's own parameters, or fast, default or "
        "accurate for a finer B-spline",
    )
    parser.add_argument(
        "--memory-gib",
        type=float,
        metavar="G",
        help="budget of a network that takes large volumes in overlapping tiles",
    )
    parser.add_argument(
        "--stages", type=int, metavar="K", help="of a network in stages, run only the first ones"
    )
    parser.add_argument(
        "--settings",
        metavar="TASK",
        help="without a network: what validation data asked for by task, lung-ct, brain-mr, cine "
        "or ct-mr, with nothing outside both masks of lungs; --transform, --similarity and "
        "--pyramid beside it count in the place of what it says",
    )
    parser.add_argument(
        "--transform",
        metavar="KIND[,KIND]",
        help="without a network: translation, rigid, similarity, affine, bspline, dense, velocity, "
        "lddmm, or several, one after the other (default: bspline, or the task's)",
    )
    parser.add_argument(
        "--similarity",
        metavar="NAME|NAME=WEIGHT[,NAME=WEIGHT]",
        help="without a network, or of a refinement by fast, default or accurate: ncc, lncc, lncc5 "
        "(smaller windows), mind, mi, ngf or mse, or a sum such as lncc=1,mind=0.5 (default: ncc, "
        "or the task's or the preset's)",
    )
    parser.add_argument(
        "--confine",
        action=argparse.BooleanOptionalAction,
        help="the same: see nothing outside both masks, for an organ that slides along its border "
        "(default: no, or as the task or the preset has it)",
    )
    parser.add_argument(
        "--symmetric",
        action="store_true",
        help="of a velocity: compare the fixed image under the inverse map as well",
    )
    parser.add_argument(
        "--pyramid", choices=_PYRAMIDS, help="without a network: how much time to take"
    )
    parser.add_argument(
        "--init",
        default="geometry",
        metavar="|".join((*ALIGNMENTS, "FILE")),
        help="where images with a place in space start: where the headers say, with the centres of "
        "their fields of view aligned, with those of both masks or else of mass, where a search "
        "over all rotations and translations leads, or a transform (default: geometry)",
    )
    add_nifti_space(parser)
    parser.add_argument("--report", action="store_true", help="also write report.html, to look at")


def similarity_of(text: str | None) -> Any:
    """A name, or names and weights.

    Raises:
        InputError: where a weight is no number, or a name comes twice.

    Example:

    >>> from tfreg.cli.settings import similarity_of
    >>> similarity_of("ncc"), similarity_of("lncc=1,mind=0.5")
    ('ncc', {'lncc': 1.0, 'mind': 0.5})
    """
    if text is None or ("=" not in text and "," not in text):
        return text
    found = {}
    for part in text.split(","):
        name, _, weight = (word.strip() for word in part.partition("="))
        try:
            number = float(weight)
        except ValueError:
            number = None
        if number is None or name in found:
            raise InputError(
                f"--similarity takes a name, or names and weights such as lncc=1,mind=0.5. "
                f"Received: {text}"
            )
        found[name] = number
    return found


def _refinement(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text
