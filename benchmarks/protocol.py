"""Sentences that the protocols and settings of several tables share."""

from typing import Any

from benchmarks.cores import THREADS
from benchmarks.methods import ants, greedy
from benchmarks.methods.stages import REFINE

WARPS = (
    "Every method hands over a displacement, and one evaluator warps the labels (linear, threshold "
    "1/2)."
)
SURFACES = (
    "`hd95` (95th percentile of the distances from one surface to the other, the larger of both "
    "directions) and `msd` (their mean, of both directions)"
)
SECONDS = (
    f"`seconds`: one pair at a time, warm, on {THREADS} core{'s' * (THREADS > 1)}; `compile`: once "
    "per size of image, not in `seconds`."
)
GREEDY = greedy.ABOUT
TOOLS = f"{GREEDY}; {ants.ABOUT}"
RANDOM = f"{THREADS} threads, RandomSeed 1"


def registrations(count: int, limit: int | None) -> str:
    """How many registrations a table has, and whether there are more.

    Args:
        count: how many.
        limit: how many were asked for at most; ``None``: all that there are.

    Example:

    >>> from benchmarks.protocol import registrations
    >>> registrations(156, None), registrations(100, 100)
    ('all 156 registrations', '100 registrations drawn at random')
    """
    drawn = limit is not None and count >= limit
    return f"{count} registrations drawn at random" if drawn else f"all {count} registrations"


def of_stages(pairs: int, seed: int, elastix: str, similarity: str = "NCC") -> dict[str, Any]:
    """What decides the numbers of a network in stages beside tools that begin affinely.

    Args:
        pairs, seed: of the data.
        elastix: levels and samples of elastix.
        similarity: what the refinement is on.
    """
    return {
        "pairs": pairs,
        "seed": seed,
        "refine": f"{REFINE} B-spline, {similarity} and bending energy, from the network's answer",
        "elastix": f"affine, then B-spline, NCC, {elastix} new random samples per iteration, "
        f"{RANDOM}, its time that of the registration alone, ITK loaded before; `default`: its own "
        "maps",
        "others": TOOLS,
    }
