"""Learned features for classical registration: demons and matching of hippocampi and brains."""

import argparse
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from benchmarks import options as declared
from benchmarks import protocol, volumes
from benchmarks.harness import Row, Table
from benchmarks.measurement import Measurement
from benchmarks.methods.ants import ants
from benchmarks.methods.contender import Contender, pick
from benchmarks.methods.demons_simpleitk import ABOUT, DemonsSimpleITK
from benchmarks.methods.described import Affine, Described
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.feature_cost import cost
from benchmarks.methods.greedy import greedy
from benchmarks.methods.instance import AFFINE_FIRST, instances
from benchmarks.methods.nothing import Nothing
from benchmarks.pairs import Pair
from tfreg.data import brain_volumes, hippocampus
from tfreg.errors import InputError

GROUPS = ("hippocampus", "brain")
LEARNED = ("pca", "sae", "isa")
SHRINK, STEPS = (4, 2, 1), (50, 50, 50)  # of both demons
PATCH = 5  # voxels an edge of the raw patches, those of 7 would need 343 channels
ELASTIX = {  # those of quicksilver-hippocampus; of brains twice the grid, as the voxels are larger
    "hippocampus": Settings(500, 4, levels=3, samples=4096, affine=True),
    "brain": Settings(500, 8, levels=3, samples=4096, affine=True),
}
WHOLE = "one whole brain"
ELSEWHERE = "matching sae, trained elsewhere"
COLUMNS = {
    "dice": "mean ± sd",
    "folding": "mean",
    "seconds": "median",
    "seconds_features": "median",
    "compile": "median",
    "peak_mib": "median",
}
_PRESETS = {"pca": "sae-pca", "sae": "sae", "isa": "isa"}
_ABOUT = {"real": "hippocampi of the Decathlon, brains of Mindboggle-101", "phantom": "phantoms"}


def preset(kind: str, group: str, data: str) -> str:
    """The name of the preset of one kind of features for a group."""
    return f"{_PRESETS[kind]}-{'phantom' if data == 'phantom' else group}"


def contenders(group: str = GROUPS[0], data: str = "real") -> list[Contender]:
    """The lines of one group, of the same names for all groups.

    Args:
        group: of :data:`GROUPS`.
        data: ``"real"`` or ``"phantom"``, whose presets were all trained on phantom brains.
    """
    presets = {kind: preset(kind, group, data) for kind in LEARNED}
    handmade = {"hand-made": _attributes, "raw": _patches}
    steps = {"shrink": SHRINK, "steps": STEPS}
    found: list[Contender] = [
        Nothing(),
        Affine(),
        Described("demons", "demons", None, **steps),
        DemonsSimpleITK("demons simpleitk", SHRINK, STEPS),
        *(Described(f"demons {kind}", "demons", presets[kind], **steps) for kind in LEARNED),
        *(Described(f"matching {k}", "match", f) for k, f in (handmade | presets).items()),
        *(Described(f"tfreg {kind}", "similarity", presets[kind]) for kind in LEARNED),
        *instances("default", transform=AFFINE_FIRST),
        Elastix("elastix x500", ELASTIX[group]),
        greedy(affine=True),
        ants(affine=True),
    ]
    if data != "phantom":
        (other,) = (one for one in GROUPS if one != group)
        found.insert(-7, Described(ELSEWHERE, "match", preset("sae", other, data)))
    return found


def _attributes(image: np.ndarray) -> np.ndarray:
    from tfreg.features import attributes

    return attributes(image)


def _patches(image: np.ndarray) -> np.ndarray:
    from tfreg.features import raw_patches

    return raw_patches(image, PATCH)


def pairs_of(
    group: str, data: str, split: str, limit: int | None, seed: int
) -> tuple[list[Pair], dict[str, tuple[int, ...]]]:
    """The pairs of a group, and the labels of its Dice.

    Of hippocampi each volume is once the fixed and once the moving one; of brains all people are
    registered with all others.
    """
    if group == "brain":
        source = "phantom" if data == "phantom" else "dkt31"
        found = volumes.whole_brains(split, source, False, seed, limit)
        labels = range(1, int(max(pair.fixed_labels.max() for pair in found)) + 1)
        return found, {"dice": tuple(labels)}
    subjects = hippocampus.subjects(split, "phantom" if data == "phantom" else "decathlon")
    order = np.random.default_rng(seed).permutation(len(subjects.names))
    pairs = [
        Pair(
            f"{subjects.names[f]} <- {subjects.names[m]}",
            *(subjects.images[k].astype("float32") for k in (f, m)),
            subjects.spacing,
            *(subjects.labels[k] for k in (f, m)),
            patient=str(subjects.names[f]),
        )
        for f, m in zip(order, np.roll(order, 1), strict=True)
    ]
    return pairs[:limit], {"dice": (1, 2)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, what="registrations of each group at most")
    declared.add_data(parser, ("real", "phantom"), "the Decathlon's and Mindboggle's")
    declared.add_split(parser)
    parser.add_argument("--groups", help=f"comma-separated; default: {','.join(GROUPS)}")


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs of each group with every method and collects the rows."""
    groups = GROUPS if options.groups is None else tuple(options.groups.split(","))
    if not groups or any(group not in GROUPS for group in groups):
        raise InputError(f"--groups takes {', '.join(GROUPS)}. Received: {options.groups}")
    there = {"hippocampus": hippocampus.available, "brain": brain_volumes.available}
    data = declared.source(options, "real", lambda: all(there[group]() for group in groups))
    chosen = {group: pick(options.methods, contenders(group, data)) for group in groups}
    found = {g: pairs_of(g, data, options.split, options.pairs, options.seed) for g in groups}
    table = Table(
        name="sae-features",
        data=f"{_ABOUT[data]}, {options.split} split",
        protocol=_protocol({group: pairs for group, (pairs, _) in found.items()}),
        columns=COLUMNS,
        layout="groups",
        settings={
            **{f"pairs of {group}": len(pairs) for group, (pairs, _) in found.items()},
            "seed": options.seed,
            "demons": f"shrunk by {SHRINK}, {STEPS} steps, sigma 1 voxel",
            "raw": f"patches of {PATCH} voxels an edge",
            "elastix": "affine, then B-spline, NCC, 3 levels, 4096 new random samples per "
            "iteration, control points "
            + ", ".join(f"{one.spacing:g} mm apart ({group})" for group, one in ELASTIX.items())
            + f", {protocol.RANDOM}",
            "others": f"{ABOUT}; {protocol.TOOLS}",
        },
    )
    for group, (pairs, labels) in found.items():
        _measure(table, group, pairs, labels, chosen[group])
    if options.methods is None:
        table.rows += _costs(data)
    return table


def _costs(data: str) -> list[Row]:
    """What the features of one whole brain cost, of 1 mm where there is a real one."""
    from zoo import list_presets

    source = "phantom" if data == "phantom" else "dkt31"
    images = brain_volumes.volumes("test", source, fine=source != "phantom").images
    rows = []
    for kind in LEARNED:
        name = preset(kind, "brain", data)
        if name in list_presets():
            seconds, peak = cost(name, images[0])
            method = f"matching {kind}"
            rows.append(Row.of(method, WHOLE, "seconds_features", "s", seconds))
            rows.append(Row.of(method, WHOLE, "peak_mib", "MiB", [peak]))
    return rows


def _protocol(pairs: Mapping[str, list[Pair]]) -> str:
    counts = ", ".join(
        f"{len(found)} pairs of {group} ({'x'.join(map(str, found[0].fixed.shape))} voxels of "
        f"{found[0].spacing[0]:g} mm)"
        for group, found in pairs.items()
    )
    return (
        f"{counts}, of two people each; the same for every method. All but `none` begin with an "
        "affine registration: demons, matching and `tfreg pca`, `sae`, `isa` (B-splines on features"
        " as the similarity) with that of `affine`, whose time is in its own row alone, the others "
        f"with their own. {protocol.WARPS} `dice`: mean over the labels, mean ± SD over pairs; "
        "`folding`: share of voxels where the map folds; `seconds`: one pair, warm, without "
        "features; `seconds_features`: those of both images of a pair; `compile`: once per size of "
        f"image, in neither. `{ELSEWHERE}`: the network of the other group. Intervals of "
        "differences are by people, of whom there are few brains. "
        f"`{WHOLE}`: the features alone of a single one of 1 mm (phantoms: 2 mm), in a process of "
        "its own; `peak_mib`: the most memory of that, libraries included."
    )


def _measure(
    table: Table,
    group: str,
    pairs: list[Pair],
    labels: dict[str, tuple[int, ...]],
    chosen: list[Contender],
) -> None:
    """Rows, notes and differences of one group."""
    part = Table(table.name, table.data, "", table.columns, settings=table.settings)
    measurement = Measurement(part, pairs, labels=labels, keep=0)
    for contender in chosen:
        measurement.run(contender)
        if isinstance(contender, Described) and contender.seconds_features:
            seconds = contender.seconds_features
            part.rows.append(Row.of(contender.name, "all", "seconds_features", "s", seconds))
    for reference in ("demons", "demons simpleitk", "matching hand-made", "matching pca"):
        measurement.compare("dice", [reference])
    table.rows += [replace(row, group=group) for row in part.rows]
    table.notes += [f"{note} ({group})" for note in part.notes]
    table.differences += [
        replace(one, reference=f"{one.reference} ({group})") for one in part.differences
    ]
