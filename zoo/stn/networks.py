"""Which networks there are: their sizes on each kind of scene, and what they are called.

Of a kind of scene all networks have about as many weights, as in the paper, whose number is not
certain; widths are within those of its appendix or, for classifiers behind a transformer, wider
where that keeps the number.
"""

from typing import Any

from tfreg.errors import InputError
from zoo.stn.model import BASES, SpatialTransformerNetwork

DISTORTIONS = ("r", "rts", "p", "e")
KINDS = (*DISTORTIONS, "clutter", "addition")
TRANSFORMS = ("affine", "projective", "tps")
SIZES = {"r": 28, "rts": 42, "p": 28, "e": 28, "clutter": 60, "addition": 42}
_CONVOLUTIONS = (64, 64)
# Hidden units of FCN and of ST-FCN.
_UNITS = {
    **dict.fromkeys(("r", "p", "e"), (208, 192)),
    "rts": (128, 256),
    "clutter": (128, 160),
    "addition": (200, 256),
}


def transforms(kind: str) -> tuple[str, ...]:
    """The transforms that networks for a kind of scene have."""
    return ("attention",) if kind == "clutter" else TRANSFORMS


def architecture(kind: str, model: str, transform: str | None) -> dict[str, Any]:
    """The arguments of a network.

    Args:
        kind: of scene, one of :data:`KINDS`.
        model: ``"fcn"``, ``"cnn"``, ``"st-fcn"`` or ``"st-cnn"``; ``"2xst-fcn"`` for two
            transformers.
        transform: of the transformers; None for a network without.

    Raises:
        InputError: on a network that there is not.

    Example:

    >>> from zoo.stn.networks import architecture
    >>> architecture("addition", "2xst-fcn", "tps")["transformers"]
    2
    """
    base, before = model[-3:], model[:-3]
    known = before == "" if transform is None else before in ("st-", "2xst-")
    if not known or base not in BASES or transform not in (None, *transforms(kind)):
        raise InputError(
            f"There is no such network for {kind}. Received: model={model}, transform={transform}"
        )
    side, addition = SIZES[kind], kind == "addition"
    units = _UNITS[kind][transform is not None]
    return {
        "base": base,
        "transform": transform,
        "size": (side, side),
        "classes": [str(number) for number in range(19 if addition else 10)],
        "channels": 2 if addition else 1,
        "widths": _CONVOLUTIONS if base == "cnn" else (units, units),
        "transformers": 2 if model.startswith("2x") else 1,
        "pool": 1 if transform is None or side == 28 else 2,
    }


def network(kind: str, model: str, transform: str | None) -> SpatialTransformerNetwork:
    """The network of :func:`architecture`, built."""
    made = SpatialTransformerNetwork(**architecture(kind, model, transform))
    made.build()
    return made


def name_of(data: str, kind: str, model: str, transform: str | None) -> str:
    """What the preset of a network is called.

    Example:

    >>> from zoo.stn.networks import name_of
    >>> name_of("mnist", "e", "st-cnn", "tps"), name_of("mnist", "clutter", "cnn", None)
    ('stn-mnist-st-cnn-tps-e', 'stn-mnist-clutter-cnn')
    """
    words = [model, *([transform] if transform else [])]
    words = [*words, kind] if kind in DISTORTIONS else [kind, *words]
    return "-".join(["stn", data, *words])
