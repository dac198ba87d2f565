"""A network in stages: a contender for each stage, then one with the refinement."""

from collections.abc import Sequence

from benchmarks.methods.contender import Contender
from benchmarks.methods.preset import Preset

REFINE = "default"


def stages(preset: str, data: str, label: str | None = None) -> list[Preset]:
    """A contender per stage, the first of which is affine, and one with all of them, refined.

    Args:
        preset: name of the preset. On phantoms it is the one trained on those, where there is one.
        data: what is registered.
        label: what the names of the lines begin with; ``None``: the method.

    Example:

    >>> from benchmarks.methods.stages import stages
    >>> [one.name for one in stages("dlir-hippocampus", "decathlon")]
    ['dlir affine', 'dlir + stage 1', 'dlir + stage 2', 'dlir + refine']
    """
    import zoo

    count = len(zoo.describe(preset).architecture["config"]["stages"])
    own = f"{preset}-phantom"
    if data == "phantom" and own in zoo.list_presets():
        preset = own
    label = label or preset.split("-")[0]
    rows = [Preset(f"{label} affine", preset, stages=1)]
    rows += [Preset(f"{label} + stage {k}", preset, stages=k + 1) for k in range(1, count)]
    return [*rows, Preset(f"{label} + refine", preset, REFINE, count)]


def about(rows: Sequence[Preset], chosen: Sequence[Contender]) -> list[str]:
    """What the network was trained on, and what each of its stages gains on validation pairs.

    Args:
        rows: of :func:`stages`.
        chosen: what is measured; where none of the rows is, or the preset is not there, nothing is
            said.
    """
    import zoo

    preset = rows[0].preset
    wanted = {row.name for row in rows} & {contender.name for contender in chosen}
    if not wanted or rows[0].unavailable():
        return []
    found = zoo.describe(preset)
    curve = found.training.get("curve", {})
    method = rows[0].name.removesuffix(" affine")
    gains = [
        f"{row.name.removeprefix(f'{method} ')} {curve[key]['ncc'][-1]:.4f}"
        for key, row in ((f"stage {k + 1}", row) for k, row in enumerate(rows))
        if key in curve
    ]
    said = f"; NCC on validation pairs: {', '.join(gains)}" if gains else ""
    return [f"{method}: {preset}, trained on {found.provenance['data']}{said}."]
