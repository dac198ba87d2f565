"""Data sets, phantoms with known displacements, and pipelines of image pairs.

Heart: ``sunnybrook`` and ``acdc`` read the publishers' files, ``cine`` gives slices of either,
``stacks`` whole volumes. Brain: ``hippocampus``. Chest: ``dirlab``, ``copdgene`` and ``lung_pair``
read pairs with landmarks, ``breathing`` makes pairs with the true displacement. Digits: ``mnist``.
Drawn by code: ``phantoms`` (digits), ``bodies`` (hearts and lungs), ``ventricles`` (hearts in 3-D)
and ``thorax``. Batches: ``PairSampler`` of whole images, ``PatchSampler`` of parts of volumes.
"""

from tfreg.data import (
    acdc,
    bodies,
    breathing,
    cine,
    copdgene,
    dirlab,
    hippocampus,
    lung_pair,
    mnist,
    phantoms,
    stacks,
    sunnybrook,
    thorax,
    ventricles,
)
from tfreg.data.pairs import PairSampler
from tfreg.data.patches import PatchSampler

__all__ = [
    "PairSampler",
    "PatchSampler",
    "acdc",
    "bodies",
    "breathing",
    "cine",
    "copdgene",
    "dirlab",
    "hippocampus",
    "lung_pair",
    "mnist",
    "phantoms",
    "stacks",
    "sunnybrook",
    "thorax",
    "ventricles",
]
