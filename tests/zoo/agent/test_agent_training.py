import itertools
import json
from typing import ClassVar

import keras
import numpy as np
import pytest

import zoo
from tfreg.cli.train import parser_of, settings_of
from tfreg.errors import InputError
from zoo.agent import train
from zoo.agent.dqn import EPISODES, Replay
from zoo.agent.lessons import States
from zoo.agent.network import QNetwork
from zoo.agent.paper import BONUS
from zoo.agent.rigid import gains, transform
from zoo.agent.scenes import Scenes
from zoo.agent.subjects import BRAIN, SPINE, fixed_pose, remap, subjects
from zoo.agent.train_brain import RECIPE as BRAINS
from zoo.agent.train_brain import Brains
from zoo.agent.train_spine import RECIPE as SPINES
from zoo.agent.values import centred, greedy_values
from zoo.agent.walk import Stage

SIZE = (34, 34, 34)


@pytest.fixture(scope="module")
def brains():
    return subjects("brain", "validation", "phantom", 4.0, count=1)


@pytest.fixture(scope="module")
def scenes(brains):
    return Scenes(brains, SIZE, 8.0)


def test_subjects_have_room_about_them(brains):
    assert brains.volumes.shape[1:] == (62, 70, 60) and len(brains) == 1
    assert brains.volumes[:, :11].max() == 0 and brains.volumes.max() == 1
    fine = subjects("brain", "validation", "phantom", 2.0, count=1)
    assert fine.volumes.shape[1:] == (124, 140, 120)
    with pytest.raises(ValueError, match="2 or 4 mm"):
        subjects("brain", "validation", "phantom", 3.0)


def test_spines_are_looked_at_about_a_vertebra():
    found = subjects("spine", "validation", "phantom", 8.0, count=1)
    assert found.kind is SPINE and found.volumes.min() >= 0 and found.volumes.max() <= 1
    for place in found.middles[0]:
        index = np.rint(place / 8 + (np.array(found.volumes.shape[1:]) - 1) / 2).astype(int)
        near = found.labels[0][tuple(slice(max(0, k - 2), k + 3) for k in index)]
        assert near.max() > 0
    poses = [fixed_pose(SPINE, found.middles[0], np.random.default_rng(k)) for k in range(30)]
    assert np.ptp(np.array(poses)[:, 0]) > 100  # all along the spine


def test_another_contrast_leaves_nothing_where_there_is_nothing():
    image = np.linspace(0, 1, 50).astype("float32")
    one, other = (remap(image, np.random.default_rng(k)) for k in (0, 1))
    assert one[0] == 0 and one[8:].min() > 0.1 and np.abs(one - other).max() > 0.05


@pytest.mark.plain
def test_a_scene_at_no_offset_agrees_with_itself_and_else_it_does_not(scenes):
    numbers = [(0, k) for k in range(6)]
    still = scenes.render(numbers, np.zeros((6, 6)))
    off = scenes.render(numbers, np.full((6, 6), 20.0))
    assert still.shape == (6, *SIZE, 3) and still.dtype == np.float32
    np.testing.assert_array_equal(still[..., 0], off[..., 0])  # the fixed image stays
    np.testing.assert_array_equal(still, scenes.render(numbers, np.zeros((6, 6))))
    alike = []
    for seen in (still, off):
        inside = seen[..., 2] > 0
        shown = [
            (one[..., 0][m] > 0.2) == (one[..., 1][m] > 0.2)
            for one, m in zip(seen, inside, strict=True)
        ]
        alike.append(np.mean([np.mean(one) for one in shown]))
    assert alike[0] > 0.9 and alike[0] > alike[1] + 0.1
    assert set(np.unique(still[..., 2])) <= {0, 1} and 0.01 < still[..., 2].mean() < 0.6


@pytest.mark.plain
def test_an_offset_moves_what_is_seen_the_way_it_says(brains):
    """``T o T_g^-1`` along the second axis: the moved image lies that far along it."""
    scenes = Scenes(brains, SIZE, 8.0, posed=False, stretched=False)
    offsets = np.zeros((2, 6))
    offsets[1, 1] = 24.0  # three voxels
    seen = scenes.render([(0, 1)] * 2, offsets)[..., 1]
    rolled = np.roll(seen[0], 3, axis=1)
    inner = np.s_[:, 8:-8]
    wrong = np.abs(seen[1] - seen[0])[inner].mean()
    assert np.abs(seen[1] - rolled)[inner].mean() < 0.3 * wrong


@pytest.mark.plain
def test_lessons_are_exact_values_and_come_again(scenes):
    lessons = States(scenes, (30.0,) * 6, 4.0, batch_size=4, seed=5)
    batch, again = lessons.batch(3), lessons.batch(3)
    for name, array in batch.items():
        np.testing.assert_array_equal(array, again[name])
    rng = np.random.default_rng([5, 3])
    offsets = lessons.offsets(rng, 4)
    steps = np.rint(offsets / 4).astype(int)
    np.testing.assert_array_equal(batch["values"], centred(greedy_values(steps)))
    np.testing.assert_allclose(batch["gains"], gains(transform(offsets), 4.0), atol=1e-4)
    raw = States(scenes, (30.0,) * 6, 4.0, 4, 5, "raw").batch(3)
    np.testing.assert_array_equal(raw["values"], greedy_values(steps))
    jump = States(scenes, (30.0,) * 6, 4.0, 4, 5, None, walked=False)
    assert np.abs(jump.batch(0)["values"]).max() <= 1
    inputs, targets = lessons.split(batch)
    assert inputs.shape == (4, *SIZE, 3) and set(targets) == {"values", "gains"}


def test_offsets_are_wide_near_and_as_a_walk_leaves_them(scenes):
    lessons = States(scenes, (150.0, *(30.0,) * 5), 4.0)
    offsets = lessons.offsets(np.random.default_rng(0), 3000)
    assert 100 < np.abs(offsets[:, 0]).max() <= 152
    largest = np.abs(offsets / (150.0, *(30.0,) * 5)).max(axis=1)
    assert (largest < 1 / 8 + 0.07).mean() > 0.3
    # A walk lowers the largest first: several are as large as each other.
    size = np.sort(np.abs(offsets), axis=1)
    level = (size[:, -1] - size[:, -2] < 4.0) & (size[:, -1] > 12)
    plain = States(scenes, (150.0, *(30.0,) * 5), 4.0, walked=False)
    other = np.sort(np.abs(plain.offsets(np.random.default_rng(0), 3000)), axis=1)
    assert level.mean() > 1.5 * ((other[:, -1] - other[:, -2] < 4.0) & (other[:, -1] > 12)).mean()


@pytest.mark.plain
def test_replay_learns_from_what_was_met(scenes):
    network = QNetwork(SIZE, 3)
    network.build()
    states = States(scenes, (30.0,) * 6, 4.0, batch_size=3)
    replay = Replay(states, network, 100)
    batch = replay.batch(0)
    known = np.isfinite(batch["values"])
    assert known.sum(axis=1).tolist() == [1, 1, 1]  # of the action that was taken
    assert len(replay._memory) == EPISODES
    one = replay._memory[0]
    expected = gains(transform(one.before[None]), 4.0)[0, one.action] / 4
    assert one.reward == pytest.approx(expected, abs=1e-3)
    replay._memory[:] = [one._replace(reached=True)]
    replay.batch_size = 1
    replay._explore = lambda step, rng: None
    batch = replay.batch(1)
    assert batch["values"][0, one.action] == pytest.approx(one.reward + BONUS, abs=1e-4)
    loss = network.compute_loss(
        None, {name: batch[name] for name in ("values", "gains")}, keras.ops.zeros((1, 12))
    )
    assert float(loss) == pytest.approx((one.reward + BONUS) ** 2, rel=1e-4)


def settings(recipe, *words):
    return settings_of(parser_of(recipe).parse_args(list(words)))


def test_names_of_presets_say_what_differs():
    names = {
        (): "agent-brain-plus-phantom",
        ("--variant", "paper"): "agent-brain-phantom",
        ("--learner", "dqn"): "agent-brain-plus-phantom-dqn",
        ("--how", "difference"): "agent-brain-plus-phantom-difference",
        ("--how", "channels"): "agent-brain-plus-phantom",
        ("--target", "raw"): "agent-brain-plus-phantom-raw",
        ("--stages", "2"): "agent-brain-plus-phantom-two-stages",
        ("--reach", "2"): "agent-brain-plus-phantom-reach-2",
    }
    for words, name in names.items():
        assert BRAINS.preset_name(settings(BRAINS, "--data", "phantom", *words)) == name
    assert SPINES.preset_name(settings(SPINES)) == "agent-spine-plus"
    assert BRAINS.preset_name(settings(BRAINS)) == "agent-brain-plus"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--reach", "0"), "--reach must be positive. Received: 0"),
        (("--subjects", "0"), "--subjects must be positive. Received: 0"),
        (("--batch", "7"), "--batch must divide 256. Received: 7"),
        (("--target", "raw", "--learner", "dqn"), "--target is of --learner greedy"),
    ],
)
def test_unusable_options_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        BRAINS.check(settings(BRAINS, *words))


class Small(Brains):
    """Small networks, few steps."""

    coarse: ClassVar = {
        "plus": Stage(SIZE, 8.0, 4.0, 6, 4),
        "paper": Stage(SIZE, 4.0, 1.0, 6, 1),
    }
    fine: ClassVar = {
        "plus": Stage(SIZE, 4.0, 1.0, 4, 4),
        "paper": Stage(SIZE, 2.0, 1.0, 4, 1),
    }


VARIANTS = (
    (),
    ("--variant", "paper"),
    ("--learner", "regression"),
    ("--learner", "dqn"),
    ("--stages", "2"),
)


@pytest.mark.long
@pytest.mark.parametrize("words", VARIANTS, ids=" ".join)
def test_a_training_leaves_a_preset_that_registers(words, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "HELD_OUT", 4)
    recipe = Small()
    small = ["--data", "phantom", "--iterations", "100", "--batch", "2", "--subjects", "1"]
    chosen = settings(recipe, *small, *words)
    recipe.check(chosen)
    name = recipe.preset_name(chosen)
    preset = recipe.train(chosen, tmp_path, name, verbose=0)
    assert preset.name == name and preset.score["metric"] == "lowered"
    curves = preset.training["curve"]
    assert [*curves][-1] == "first stage as written"
    assert all(curve["iteration"][-1] == 100 for curve in curves.values())
    assert preset.weights_path.stat().st_size < 4e6
    content = json.loads(preset.path.read_text())
    assert content["preprocessing"]["covers"] == "field of view"
    model = zoo.load(preset.path, task="registration")
    image = np.random.default_rng(0).random((30, 32, 28))
    answer = model.register(image, np.roll(image, 1, axis=0))
    assert np.isfinite(answer.displacement).all() and answer.steps.shape[-2:] == (3, 4)
    # Given again, it is done.
    again = recipe.train(chosen, tmp_path, name, verbose=0)
    assert again.score == preset.score


def test_validation_states_are_the_same_whatever_is_trained(monkeypatch):
    monkeypatch.setattr(train, "HELD_OUT", 2)
    recipe = Small()
    found = []
    for words in ((), ("--batch", "2"), ("--target", "raw")):
        chosen = settings(recipe, "--data", "phantom", "--subjects", "1", *words)
        some = recipe._subjects("validation", chosen, 4.0)
        found.append(recipe._held_out(some, recipe.coarse["plus"], 0, chosen))
    for one, other in itertools.pairwise(found):
        np.testing.assert_array_equal(one["seen"], other["seen"])
        np.testing.assert_array_equal(one["gains"], other["gains"])
    assert BRAIN.ranges == (30.0,) * 6
