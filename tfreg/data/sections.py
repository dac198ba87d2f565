"""Serial sections of electron microscopy: stacks of tissue, aligned by their publishers or not.

Read from prepared files in the folder that ``TFREG_DATA`` names; phantom ones are drawn by
:mod:`tfreg.data.tissue`. Splits are blocks of consecutive sections: the last section of one and the
first of the next are neighbours and show much the same.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfreg.data import tissue
from tfreg.data.slices import SPLITS, read_pack
from tfreg.data.source import Source, phantom
from tfreg.errors import InputError

SOURCES = {
    "vnc": Source(
        "ssTEM of the ventral nerve cord of a Drosophila larva",
        "S. Gerhard, J. Funke, J. Martel, A. Cardona and R. Fetter, Segmented anisotropic ssTEM "
        "dataset of neural tissue, figshare 2013, doi:10.6084/m9.figshare.856713",
        "CC BY-NC-SA 3.0",
        "sections",
        {"train": 34, "validation": 3, "test": 3},
    ),
    "isbi2012": Source(
        "ISBI 2012 EM segmentation challenge",
        "A. Cardona et al., PLoS Biology 8(10), 2010; I. Arganda-Carreras et al., Frontiers in "
        "Neuroanatomy 9:142, 2015",
        "unclear: for evaluation only",
        "sections",
        {"train": 20, "validation": 5, "test": 35},
    ),
    "lung": Source(
        "SEM of lung tissue, examples of ITKElastix",
        "InsightSoftwareConsortium/ITKElastix, examples/data/lung_sem, not aligned",
        "Apache-2.0",
        "sections",
        {"test": 12},
    ),
    "phantom": phantom(
        "phantom sections of tfreg.data.tissue",
        "sections",
        {"train": 48, "validation": 12, "test": 24},
    ),
}
PACKS = {"vnc": "em_sstem_vnc.npz", "isbi2012": "em_isbi2012.npz", "lung": "em_lung_sem.npz"}
PHANTOM_SIZE = 256
# Of each split: the stack of the prepared file, and which of its sections.
_BLOCKS: Mapping[str, Mapping[str, tuple[tuple[str, slice], ...]]] = {
    "vnc": {
        "train": (("stack1", slice(0, 14)), ("stack2", slice(0, 20))),
        "validation": (("stack1", slice(14, 17)),),
        "test": (("stack1", slice(17, 20)),),
    },
    "isbi2012": {
        "train": (("images", slice(0, 20)),),
        "validation": (("images", slice(20, 25)),),
        "test": (("images", slice(25, 30)), ("images2", slice(0, 30))),
    },
    "lung": {"test": (("images", slice(0, 12)),)},
}
_LABELS = {"stack1": "stack1_labels", "images": "membrane"}  # of the stacks that have some
# Sections of the phantom blocks; every block is another piece of tissue.
_PHANTOMS = {"train": (12,) * 4, "validation": (12,), "test": (12, 12)}
_NO_LABELS = ("lung",)


class Stack(NamedTuple):
    """Consecutive sections.

    Attributes:
        name: where they are from.
        images: ``(sections, height, width)`` uint8.
        labels: the same shape, or ``None``: what is what, as its publisher says, of ISBI 2012 1
            where membranes are; of phantoms the cells, of which each keeps its number from section
            to section.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None = None


def available(source: str) -> bool:
    """Whether :func:`stacks` would find a source."""
    return source == "phantom" or _file(source) is not None


def stacks(source: str, split: str) -> list[Stack]:
    """The stacks of one split of a source.

    Args:
        source: ``"vnc"`` (training stack 1, sections 0 to 13, and stack 2; stack 1 labelled),
            ``"isbi2012"`` (its test stack belongs to ``"test"``), ``"lung"`` (``"test"`` only), or
            ``"phantom"``.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Raises:
        ValueError: on an unknown source, or a split that it does not have.
        InputError: if the prepared file is not there, or not what it should be.

    Example:

    >>> from tfreg.data import sections
    >>> [stack.images.shape for stack in sections.stacks("phantom", "validation")]
    [(12, 256, 256)]
    """
    if source not in SOURCES:
        raise ValueError(f"source must be one of {tuple(SOURCES)}. Received: source={source}")
    if split not in SOURCES[source].splits:
        raise ValueError(
            f"split must be one of {tuple(SOURCES[source].splits)} for {source}. "
            f"Received: split={split}"
        )
    if source == "phantom":
        return _phantoms(split)
    path = _file(source)
    if path is None:
        raise InputError(
            f"The sections {source} were not found: set TFREG_DATA to a folder with "
            f"{PACKS[source]}, or use phantom ones, which need no files (--data phantom)."
        )
    blocks = _BLOCKS[source][split]
    labelled = {name for name, _ in blocks if name in _LABELS and source not in _NO_LABELS}
    pack = read_pack(path, [*{name for name, _ in blocks}, *(_LABELS[name] for name in labelled)])
    found = []
    for name, which in blocks:
        images = pack[name]
        labels = pack[_LABELS[name]] if name in labelled else None
        if labels is not None and source == "isbi2012":
            labels = (labels == 0).astype("uint8")  # its publisher draws membranes black
        whole = images.ndim == 3 and len(images) >= which.stop and images.dtype == np.uint8
        if not whole or (labels is not None and labels.shape != images.shape):
            raise InputError(
                f"{path} must hold {which.stop} sections of {name}, uint8, and labels of their "
                f"shape. Received: {images.dtype} {images.shape}, labels {np.shape(labels)}"
            )
        marks = None if labels is None else labels[which]
        found.append(Stack(f"{source} {name} {which.start}-{which.stop - 1}", images[which], marks))
    return found


def _file(source: str) -> Path | None:
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / PACKS[source] if folder else None
    return path if path is not None and path.is_file() else None


def _phantoms(split: str) -> list[Stack]:
    found = []
    for number, count in enumerate(_PHANTOMS[split]):
        seed = 100 * SPLITS.index(split) + number
        block = tissue.block(count, (PHANTOM_SIZE, PHANTOM_SIZE), seed)
        found.append(Stack(f"phantom {split} {number}", block.images, block.labels))
    return found
