import os
from pathlib import Path

import numpy as np
import plain_fusion
import pytest

import zoo
from tfreg.metrics import fusion
from zoo.fusion.train_focus import VALIDATION_PAIRS


def test_the_preset_tells_sharp_from_blurred():
    preset = zoo.describe("fusion-cnn", task="fusion")
    assert preset.score["metric"] == "accuracy" and preset.score["value"] > 0.95
    assert preset.score["data"].startswith(f"{VALIDATION_PAIRS} random pairs of patches")
    assert preset.licence.startswith("unrestricted use")
    assert zoo.load("fusion-cnn").count_params() == 435_202


@pytest.fixture
def example():
    """The pair that the authors' code comes with, by CT and by MRI, and how they fuse it."""
    path = Path(os.environ["TFREG_DATA"]) / "fusion_reference.npz"
    if not path.exists():
        pytest.skip("needs fusion_reference.npz")
    with np.load(path) as pack:
        return [pack[f"medical_{name}"] for name in ("010_CT", "010_MR_T2", "fused")]


def fused(ct, mri):
    whole = {"first_range": (0, 255), "second_range": (0, 255)}
    return plain_fusion.as_bytes(zoo.load("fusion-cnn").fuse(ct, mri, **whole).fused)


@pytest.mark.real_data
def test_its_image_is_nearer_to_the_authors_than_with_a_weight_of_a_half(example):
    ct, mri, theirs = example
    half = plain_fusion.fused(ct / 255, mri / 255, np.full(ct.shape, 0.5))
    distances = [
        np.abs(image.astype(int) - theirs).mean()
        for image in (fused(ct, mri), plain_fusion.as_bytes(half))
    ]
    assert distances[0] < distances[1] < 1


@pytest.mark.real_data
def test_its_image_is_judged_as_the_authors(example):
    ct, mri, theirs = example
    ours = fused(ct, mri)
    for measure in (fusion.q_mi, fusion.q_g, fusion.q_y, fusion.q_cb):
        assert measure(ct, mri, ours) == pytest.approx(measure(ct, mri, theirs), abs=0.01)
    black = (ct == 0) & (mri == 0)  # where the rule leaves a faint shine
    shines = [(image[black] > 0).mean() for image in (theirs, ours)]
    assert black.mean() > 0.5 and shines == pytest.approx([0.136, 0.127], abs=0.01)
