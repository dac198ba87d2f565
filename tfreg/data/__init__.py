"""Data sets, phantoms with known displacements, and pipelines of batches.

Heart: ``sunnybrook`` and ``acdc`` read the publishers' files, ``cine`` gives slices of either,
``stacks`` whole volumes. Brain: ``hippocampus``, ``brain_slices`` and ``brain_volumes``, and
``brain_pairs`` of two modalities. Chest: ``dirlab``, ``copdgene`` and ``lung_pair`` read pairs with
landmarks, ``breathing`` makes pairs with the true displacement. Digits: ``mnist``, and ``digits``,
which gives those or phantoms. Electron microscopy: ``sections``, and ``damage``, which paints onto
them what cutting does. Natural images: ``photographs``. Drawn by code: ``phantoms`` (digits),
``bodies`` (hearts and lungs), ``ventricles`` (hearts in 3-D), ``thorax``, ``torsos`` (with spines),
``heads``, ``tissue`` (sections) and ``implants``. What a cone-beam CT makes of a volume:
``cone_beam``. To look through with X-rays: ``radiographs``; X-rays made from volumes:
``xrays``. What is to be said of a data set is its ``Source``. Batches: ``PairSampler`` of whole
images, ``PatchSampler`` of parts of volumes, ``VolumePatches`` of single ones; a sampler of one's
own extends ``Batches``.
"""

from tfreg.data import (
    acdc,
    bodies,
    brain_pairs,
    brain_slices,
    brain_volumes,
    breathing,
    cine,
    cone_beam,
    copdgene,
    damage,
    digits,
    dirlab,
    heads,
    hippocampus,
    implants,
    lung_pair,
    mnist,
    phantoms,
    photographs,
    radiographs,
    sections,
    stacks,
    sunnybrook,
    thorax,
    tissue,
    torsos,
    ventricles,
    xrays,
)
from tfreg.data.batches import Array, Batches
from tfreg.data.pairs import PairSampler
from tfreg.data.patches import PatchSampler
from tfreg.data.source import Source
from tfreg.data.volume_patches import VolumePatches

__all__ = [
    "Array",
    "Batches",
    "PairSampler",
    "PatchSampler",
    "Source",
    "VolumePatches",
    "acdc",
    "bodies",
    "brain_pairs",
    "brain_slices",
    "brain_volumes",
    "breathing",
    "cine",
    "cone_beam",
    "copdgene",
    "damage",
    "digits",
    "dirlab",
    "heads",
    "hippocampus",
    "implants",
    "lung_pair",
    "mnist",
    "phantoms",
    "photographs",
    "radiographs",
    "sections",
    "stacks",
    "sunnybrook",
    "thorax",
    "tissue",
    "torsos",
    "ventricles",
    "xrays",
]
