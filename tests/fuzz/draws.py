"""Grids, voxels and alterations at random."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

KINDS = ("ordinary", "odd", "damaged")


@dataclass(frozen=True)
class Draft:
    """A file, and what may be asked of its reader.

    An ordinary file must be read without a word. An odd one is unusual, incomplete or contradicts
    itself; a damaged one breaks the rules of its format: both may be refused.
    """

    path: Path
    kind: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alteration:
    """A change of a header: ``change(header, rng)`` alters it in place, and may say what it did."""

    kind: str
    name: str
    change: Callable[[Any, np.random.Generator], Any]


def alter(
    header: Any, alterations: Sequence[Alteration], rng: np.random.Generator
) -> tuple[str, tuple[str, ...]]:
    """Applies none, one or two alterations, in the order of the list.

    Returns:
        The kind of the worst, and what was done.
    """
    among = str(rng.choice(KINDS, p=(0.35, 0.4, 0.25)))
    of_it = [k for k, item in enumerate(alterations) if item.kind == among]
    others = [k for k, item in enumerate(alterations) if KINDS.index(item.kind) < 2]
    chosen = [pick(rng, of_it)] if of_it and (among != "ordinary" or chance(rng, 0.5)) else []
    if among != "ordinary" and chance(rng, 0.25):
        chosen.append(pick(rng, others))
    notes = []
    for item in (alterations[k] for k in sorted(set(chosen))):
        said = item.change(header, rng)
        notes.append(item.name if said is None else f"{item.name} {said}")
    return among if chosen else "ordinary", tuple(notes)


def chance(rng: np.random.Generator, share: float) -> bool:
    """True in that share of the draws."""
    return bool(rng.random() < share)


def pick(rng: np.random.Generator, values: Sequence) -> Any:
    """One of the values, with the type that it has there."""
    return values[rng.integers(len(values))]


def affine(rng: np.random.Generator, right_handed: bool = False) -> np.ndarray:
    """``(4, 4)`` from index x, y, z to mm: any spacing, flipped or oblique axes, any origin."""
    turned = np.eye(3)
    if chance(rng, 0.6):
        turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    elif chance(rng, 0.7):
        turned = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3)
    if right_handed:
        turned[:, 2] *= np.linalg.det(turned)
    whole = np.eye(4)
    whole[:3, :3] = turned * np.round(np.exp(rng.uniform(np.log(0.3), np.log(6), 3)), 4)
    whole[:3, 3] = np.round(rng.uniform(-300, 300, 3), 3)
    return whole


def voxels(rng: np.random.Generator, shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Values over the whole range of a type, or near zero; no two axes look alike."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.normal(0, pick(rng, [1, 1000]), shape).astype(dtype)
    limits = np.iinfo(dtype)
    if chance(rng, 0.3):
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return rng.integers(max(limits.min, -100), 100, shape).astype(dtype)


def damaged(header: Any, rng: np.random.Generator) -> None:
    """An alteration: the file is to be damaged once it is written."""
    header.damaged = True


def field_missing(header: Any, rng: np.random.Generator) -> str:
    """An alteration: a text header goes without one of its fields."""
    key = pick(rng, list(header.fields))
    del header.fields[key]
    return key


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """The content cut off, or with some bytes of its beginning altered."""
    altered = bytearray(content)
    if chance(rng, 0.5):
        return bytes(altered[: rng.integers(1, len(altered))])
    for place in rng.integers(min(len(altered), 900), size=rng.integers(1, 4)):
        altered[place] = rng.integers(256)
    return bytes(altered)
