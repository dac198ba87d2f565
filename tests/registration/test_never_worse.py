"""Whether registrations end below their start in silence, on volumes that crops were padded to."""

import warnings

import numpy as np
import pytest

from tfreg import metrics, ops
from tfreg.data import hippocampus
from tfreg.registration import register

PAIRS = 40
SEED = 2026  # of pairs that no threshold of a warning was chosen on


def _dice(labels, moving_labels, displacement):
    moved = ops.resample_labels(moving_labels[None, ..., None], displacement[None])
    found = metrics.dice(labels, np.asarray(moved)[0, ..., 0], tuple(hippocampus.LABELS))
    return np.mean([found[label] for label in hippocampus.LABELS])


@pytest.mark.real_data
@pytest.mark.long
@pytest.mark.parametrize("transform", ["affine", "bspline", ["affine", "bspline"]])
@pytest.mark.parametrize("split", ["train", "test"])
def test_no_hippocampus_ends_below_its_start_in_silence(transform, split):
    subjects = hippocampus.subjects(split)
    rng, silent = np.random.default_rng(SEED), []
    for _ in range(PAIRS):
        a, b = rng.choice(len(subjects.images), 2, replace=False)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            answer = register(subjects.images[a], subjects.images[b], transform)
        labels = subjects.labels[a], subjects.labels[b]
        before = _dice(*labels, np.zeros_like(answer.displacement))
        after = _dice(*labels, answer.displacement)
        if after < before and not said and not answer.check().problems:
            silent.append((int(a), int(b), float(before), float(after)))
    assert not silent
