import os
from pathlib import Path

import numpy as np
import plain_fusion
import pytest

import zoo
from zoo.fusion.train_focus import VALIDATION_PAIRS


def test_the_preset_tells_sharp_from_blurred():
    preset = zoo.describe("fusion-cnn", task="fusion")
    assert preset.score["metric"] == "accuracy" and preset.score["value"] > 0.95
    assert preset.score["data"].startswith(f"{VALIDATION_PAIRS} random pairs of patches")
    assert preset.licence.startswith("unrestricted use")
    assert zoo.load("fusion-cnn").count_params() == 435_202


@pytest.mark.real_data
def test_its_image_is_nearer_to_the_authors_than_with_a_weight_of_a_half():
    path = Path(os.environ["TFREG_DATA"]) / "fusion_reference.npz"
    if not path.exists():
        pytest.skip("needs fusion_reference.npz")
    with np.load(path) as pack:
        ct, mri, theirs = (pack[f"medical_{name}"] for name in ("010_CT", "010_MR_T2", "fused"))
    whole = {"first_range": (0, 255), "second_range": (0, 255)}
    fused = zoo.load("fusion-cnn").fuse(ct, mri, **whole).fused
    half = plain_fusion.fused(ct / 255, mri / 255, np.full(ct.shape, 0.5))
    distances = [
        np.abs(plain_fusion.as_bytes(image).astype(int) - theirs).mean() for image in (fused, half)
    ]
    assert distances[0] < distances[1] < 1
