import numpy as np
import pytest

from tfreg.data import sections
from zoo.ssemnet import train_sections
from zoo.ssemnet.crops import Crops

SETTINGS = {
    **{"scheme": "paper", "data": "phantom", "iterations": 100, "batch": 2, "seed": 0},
    **{"learning_rate": 0.002, "schedule": "cosine", "deterministic": False},
}


def test_crops_are_a_function_of_the_step_and_hold_what_a_section_shows():
    stacks = [np.arange(2 * 20 * 30, dtype="int64").reshape(2, 20, 30) % 251]
    stacks = [stack.astype("uint8") for stack in stacks]
    crops = Crops(stacks, 8, 6, seed=2)
    assert crops.count == 2
    batch = crops.batch(4)["images"]
    assert batch.shape == (6, 8, 8, 1) and batch.dtype == np.float32
    np.testing.assert_array_equal(batch, Crops(stacks, 8, 6, seed=2).batch(4)["images"])
    assert (batch != crops.batch(5)["images"]).any()
    assert batch.min() >= 0 and batch.max() <= 1
    # Along one of its axes, one way or the other, neighbours are a grey value apart.
    for crop in batch[..., 0]:
        steps = [np.abs(np.abs(np.diff(crop, axis=axis)) - 1 / 250) for axis in (0, 1)]
        assert min(np.median(step) for step in steps) < 1e-6
    with pytest.raises(ValueError, match=r"20 px or less. Received: size=32"):
        Crops(stacks, 32, 2)


@pytest.mark.parametrize("data", ["vnc", "phantom"])
def test_no_recipe_reads_a_test_section(monkeypatch, tmp_path, data):
    asked = []

    def stacks(source, split):
        asked.append((source, split))
        images = np.random.default_rng(0).integers(0, 255, (3, 130, 140)).astype("uint8")
        return [sections.Stack("drawn", images)]

    monkeypatch.setattr(sections, "stacks", stacks)
    training = train_sections.RECIPE.prepare({**SETTINGS, "data": data}, tmp_path)
    assert sorted(asked) == [(data, "train"), (data, "validation")]
    assert training.preprocessing.size == (130, 140) and training.counts == "3 sections"
    assert training.held_out["images"].shape == (64, 128, 128, 1)
    assert sections.SOURCES[data].name in training.summary


def test_names_tell_data_and_scheme():
    recipe = train_sections.RECIPE
    assert recipe.preset_name({**SETTINGS, "data": "vnc"}) == "ssemnet-vnc"
    assert recipe.preset_name({**SETTINGS, "scheme": "plus"}) == "ssemnet-phantom-plus"
