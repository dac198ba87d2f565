"""The settings by task of the optimisation, chosen on validation data with noise added.

A group per task. Nothing of it is in a test, but that the one real CT of a whole chest moves
there in other ways. What this very code registered already is read from ``--runs``, so that groups,
choices and interruptions may come in any order.
"""

import argparse
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tfreg
from benchmarks import modalities, volumes
from benchmarks import options as declared
from benchmarks import pairs as data_sets
from benchmarks.cores import THREADS
from benchmarks.harness import Row, Table, choose
from benchmarks.judge import Labels, judge, unit_of
from benchmarks.methods.instance import AFFINE_FIRST, Instance, of_task
from benchmarks.pairs import Pair, noisy
from tfreg import io
from tfreg.data import brain_pairs, breathing, cine, hippocampus, lung_motion
from tfreg.errors import InputError

COLUMNS = {
    "error": "mean ± sd",
    "dice": "mean ± sd",
    "error voxels": "mean ± sd",
    "folding": "mean",
    "seconds": "median",
}
SHIPPED = "as shipped"
_REGISTERS = ("features", "losses", "ops", "registration")  # parts of the library
_HU, _SHARE = 50.0, 0.05  # noise of CT, and of other images as a share of their range
_LUNGS = {"transform": AFFINE_FIRST, "confine": True}
_BRAIN = {"transform": AFFINE_FIRST}
_HEADS = ("rigid", "bspline")


@dataclass(frozen=True)
class Group:
    """What is chosen for a task.

    Attributes:
        pairs: validation pairs, from whether they are real, a seed and how many at most.
        real: whether the real ones are there.
        choices: by name, the options of :class:`Instance`; beside them goes the task as it ships.
        metric: by which it is chosen; of lengths one per group, that a column has one unit.
        count: pairs where none is asked for.
        labels: of Dice, as :func:`benchmarks.judge.judge` takes them.
    """

    pairs: Callable[[bool, int, int], list[Pair]]
    real: Callable[[], bool]
    choices: Mapping[str, dict[str, Any]]
    metric: str
    count: int
    labels: Labels = field(default_factory=dict)


def _lungs(real: bool, seed: int, limit: int) -> list[Pair]:
    """Of each kind as many; the motion of patients is rougher than what is drawn."""
    sources = ("patients", "phantom", "deformed") if real else ("phantom",)
    counts = [len(range(k, limit, len(sources))) for k in range(len(sources))]
    found = [
        pair
        for source, count in zip(sources, counts, strict=True)
        for pair in (volumes.chests(source, seed, count, "validation") if count else ())
    ]
    return [noisy(pair, _HU, seed, (breathing.LOWEST, breathing.HIGHEST)) for pair in found]


def _hippocampi(real: bool, seed: int, limit: int) -> list[Pair]:
    source = "decathlon" if real else "phantom"
    found = volumes.hippocampi("validation", source, seed, limit)
    return [_with_noise(pair, seed) for pair in found]


def _hearts(real: bool, seed: int, limit: int) -> list[Pair]:
    found = data_sets.cine("validation", "acdc" if real else "phantom", seed, limit)
    return [_with_noise(pair, seed) for pair in found]


def _heads(real: bool, seed: int, limit: int) -> list[Pair]:
    # They have noise already.
    return modalities.pairs("ct-mri", "validation", real, seed, limit)


def _with_noise(pair: Pair, seed: int) -> Pair:
    return noisy(pair, _SHARE * float(max(np.ptp(pair.fixed), np.ptp(pair.moving))), seed)


def _weights(similarity: Any, *weights: float, **options: Any) -> dict[str, dict[str, Any]]:
    """The same with other weights of the regulariser."""
    name = _named(similarity)
    return {
        f"{name}, weight {weight:g}": {
            "similarity": similarity,
            "weight": weight,
            "pyramid": "default",
            **options,
        }
        for weight in weights
    }


def _similarities(*similarities: Any, **options: Any) -> dict[str, dict[str, Any]]:
    return {_named(one): {"similarity": one, **options} for one in similarities}


def _named(similarity: Any) -> str:
    if isinstance(similarity, str):
        return similarity
    return " + ".join(f"{weight:g} {name}" for name, weight in similarity.items())


GROUPS = {
    "lung-ct": Group(
        _lungs,
        lambda: breathing.available("ct") and lung_motion.available(),
        {
            **_similarities("ncc", "lncc", "mind", {"lncc": 1, "mind": 1}, **_LUNGS),
            **_weights("ncc", 0.3, 1.0, 3.0, **_LUNGS),
            **_weights("mind", 1.0, 3.0, **_LUNGS),
            **_weights({"lncc": 1, "mind": 1}, 0.3, 1.0, 3.0, **_LUNGS),
            **_weights({"ncc": 1, "mind": 1}, 1.0, **_LUNGS),
            "1 lncc + 1 mind, fast": {
                "similarity": {"lncc": 1, "mind": 1},
                "pyramid": "fast",
                **_LUNGS,
            },
            "1 lncc + 1 mind, accurate": {
                "similarity": {"lncc": 1, "mind": 1},
                "pyramid": "accurate",
                "weight": 1.0,
                **_LUNGS,
            },
        },
        metric="error",
        count=6,
    ),
    "brain-mr": Group(
        _hippocampi,
        hippocampus.available,
        {
            **_similarities("ncc", "lncc5", "mind", {"lncc5": 1, "mind": 0.5}, **_BRAIN),
            "1 lncc5 + 0.5 mind, no affine": {
                "similarity": {"lncc5": 1, "mind": 0.5},
                "transform": ("bspline",),
            },
            **_weights({"lncc5": 1, "mind": 0.5}, 0.2, **_BRAIN),
            "1 lncc5 + 0.5 mind, no affine, fast": {
                "similarity": {"lncc5": 1, "mind": 0.5},
                "transform": ("bspline",),
                "pyramid": "fast",
            },
            "1 lncc5 + 0.5 mind, fast": {
                "similarity": {"lncc5": 1, "mind": 0.5},
                "pyramid": "fast",
                **_BRAIN,
            },
        },
        metric="dice",
        count=16,
        labels=volumes.LABELS_OF_HIPPOCAMPI,
    ),
    "cine": Group(
        _hearts,
        lambda: cine.available(("acdc",)),
        {
            **_similarities("ncc", "lncc", "lncc5", "mind"),
            **_similarities({"ncc": 1, "mind": 0.5}, {"ncc": 1, "lncc": 0.5}),
            **_similarities({"ncc": 1, "lncc": 1}, {"ncc": 1, "lncc": 2}),
            **_weights("ncc", 0.05, 0.2, transform=("bspline",)),
            **_weights({"ncc": 1, "lncc": 0.5}, 0.05, 0.2, transform=("bspline",)),
            "ncc, affine first": {"transform": AFFINE_FIRST},
            "ncc, accurate": {"pyramid": "accurate"},
        },
        metric="dice",
        count=60,
        labels={"dice": 2},
    ),
    "ct-mr": Group(
        _heads,
        brain_pairs.available,
        {
            **_similarities("mi", "ngf", "mind", {"mi": 1, "ngf": 1}, transform=_HEADS),
            "mi, rigid alone": {"similarity": "mi", "transform": ("rigid",)},
            "ngf, rigid alone": {"similarity": "ngf", "transform": ("rigid",)},
            "1 mi + 1 ngf, rigid alone": {
                "similarity": {"mi": 1, "ngf": 1},
                "transform": ("rigid",),
            },
            **_weights("mi", 1.0, 3.0, 10.0, transform=_HEADS),
            **_weights("ngf", 1.0, 3.0, transform=_HEADS),
            **_weights({"mi": 1, "ngf": 1}, 1.0, 3.0, 10.0, transform=_HEADS),
        },
        metric="error voxels",
        count=16,
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, None, "pairs of each group, in place of its own number")
    declared.add_data(parser, ("real", "phantom"), "real images")
    parser.add_argument(
        "--groups", help=f"comma-separated, of {', '.join(GROUPS)} (default: all of them)"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/engine-choices"), help="figures are kept here"
    )


def run(options: argparse.Namespace) -> Table:
    """Registers the validation pairs of every group with each choice, and collects the rows."""
    groups = _chosen(options.groups)
    known = dict.fromkeys(name for group in groups for name in (SHIPPED, *GROUPS[group].choices))
    names = choose(options.methods, tuple(known))
    table = Table(
        name="engine-choices",
        data="validation splits, with noise",
        protocol=(
            "What `tfreg.registration.TASKS` says for each task, as it ships, beside other "
            "choices; one that names no weight has that of the pyramid, 0.1, and one that names no "
            "speed the default one. On validation data only, with noise added, since phantoms and "
            f"clean images promise more than patients give: `lung-ct`: {_HU:g} HU on thoraxes that "
            "breathe (phantoms, a real CT, and that CT moved as the lungs of two patients of "
            "DIR-Lab COPDgene move), with both masks, the mean error in the lung; "
            f"`brain-mr` and `cine`: {100 * _SHARE:g} % of the range on hippocampi of two people "
            "and on the ends of systole and diastole of the heart, Dice of the two parts and of "
            f"the myocardium; `ct-mr`: {100 * modalities.NOISE:g} % on CT and MRI of a head with a "
            f"known map, the mean error in voxels. `seconds`: one pair, warm; {THREADS} cores."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed},
        layout="groups",
    )
    for group in groups:
        _measure(table, group, names, options)
    return table


def _chosen(requested: str | None) -> list[str]:
    if requested is None:
        return list(GROUPS)
    found = [part.strip() for part in requested.split(",")]
    unknown = [name for name in found if name not in GROUPS]
    if unknown:
        raise InputError(f"--groups takes {', '.join(GROUPS)}. Received: {', '.join(unknown)}")
    return [name for name in GROUPS if name in found]


def _measure(table: Table, name: str, names: list[str], options: argparse.Namespace) -> None:
    """Adds the rows of one group, reading what is there and registering the rest."""
    group = GROUPS[name]
    real = declared.source(options, "real", group.real) == "real"
    settings = {"real": real, "seed": options.seed, "pairs": options.pairs or group.count}
    pairs: list[Pair] = []  # made when one of the choices asks for them
    table.settings[name] = f"{settings['pairs']} {_kind(group, real)} pairs"
    for choice in names:
        if choice != SHIPPED and choice not in group.choices:
            continue
        path = options.runs / name / f"{choice.replace(' ', '-')}.json"
        contender = (
            of_task(name) if choice == SHIPPED else Instance(choice, **group.choices[choice])
        )
        about = json.loads(json.dumps({**settings, "choice": _about(contender)}))
        found = _kept(path, about)
        if found is None:
            pairs = pairs or group.pairs(real, options.seed, settings["pairs"])
            found = _figures(contender, pairs, group.labels)
            text = json.dumps({"about": about, "figures": found}, indent=1) + "\n"
            io.write_together(path.parent, {path.name: lambda to, text=text: to.write_text(text)})
        table.rows += [
            Row.of(choice, name, metric, unit_of(metric), found[metric])
            for metric in (group.metric, "folding", "seconds")
        ]


def _kind(group: Group, real: bool) -> str:
    if not real:
        return "phantom"
    return "real and phantom" if group.pairs is _lungs else "real"


def _about(contender: Instance) -> dict[str, Any]:
    """What decides the answers of a contender; of a task what it says today."""
    from tfreg.registration import TASKS

    task = contender.options.get("settings")
    said = {} if task is None else {"task": asdict(TASKS[task])}
    return {"weight": contender.weight, "options": contender.options, "code": _code(), **said}


@functools.cache
def _code() -> str:
    """A digest of what registers: figures of another version are made again."""
    root = Path(tfreg.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for part in _REGISTERS for path in (root / part).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _kept(path: Path, about: dict[str, Any]) -> dict[str, list[float]] | None:
    """The figures of an earlier run with the same settings, or ``None``."""
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["figures"] if content["about"] == about else None


def _figures(contender: Instance, pairs: list[Pair], labels: Labels) -> dict[str, list[float]]:
    from tqdm import tqdm

    contender.warm(pairs[0])
    found: dict[str, list[float]] = {}
    for pair in tqdm(pairs, desc=contender.name, unit="pair"):
        displacement, seconds = contender.register(pair)
        figures = {**judge(pair, displacement, labels), "seconds": [seconds]}
        for metric, values in figures.items():
            found.setdefault(metric, []).extend(map(float, values))
    return found
