import numpy as np
import pytest

from tfreg.errors import InputError
from tfreg.registration import TASKS, Level, Pyramid, register
from tfreg.registration.instance.similarity import as_similarity
from tfreg.registration.kinds import LINEAR
from tfreg.registration.named import optimisation

MASKS = ("fixed_mask", "moving_mask")


def test_every_task_says_what_it_is():
    assert {*TASKS} == {"lung-ct", "brain-mr", "cine", "ct-mr"}
    for name, task in TASKS.items():
        method = optimisation(name, masks=MASKS)
        assert task.about and method.transform == task.transform
        assert method.similarity == as_similarity(task.similarity)
        assert method.confine == task.confine
        pyramids = method.pyramids((64, 64, 64), (1.0, 1.0, 1.0))
        for kind, found in zip(task.transform, pyramids, strict=True):
            expected = 0.0 if kind in LINEAR else task.weight or 0.1
            assert {level.weight for level in found.levels} == {expected}


def test_it_confines_where_both_masks_are():
    assert optimisation("lung-ct", masks=MASKS).confine
    assert not optimisation("lung-ct", masks=MASKS[:1]).confine
    assert not optimisation("lung-ct", masks=MASKS, confine=False).confine
    assert not optimisation(masks=MASKS).confine


def test_what_is_said_beside_it_counts():
    method = optimisation("brain-mr", similarity="mse", transform="dense")
    assert (method.similarity, method.transform) == ("mse", "dense")
    shape, spacing = (64, 64, 64), (1.0, 1.0, 1.0)
    steps = {
        speed: sum(
            level.steps
            for found in optimisation("lung-ct", pyramid=speed).pyramids(shape, spacing)
            for level in found.levels
        )
        for speed in ("fast", "default", "accurate")
    }
    assert steps["fast"] < steps["default"] < steps["accurate"]
    own = Pyramid((Level(steps=3, weight=0.7),))
    assert optimisation("lung-ct", transform="bspline", pyramid=own).pyramids(shape, spacing) == (
        own,
    )


def test_the_weight_is_that_of_the_task_but_for_few_steps():
    shape, spacing = (64, 64, 64), (1.0, 1.0, 1.0)
    for pyramid, weights in (
        ("default", (0.0, 1.0)),
        ("fast", (0.0, 0.1)),
        (["fast", "default"], (0.0, 1.0)),
        (["default", "fast"], (0.0, 0.1)),
    ):
        method = optimisation("lung-ct", pyramid=pyramid)
        found = [{k.weight for k in p.levels} for p in method.pyramids(shape, spacing)]
        assert found == [{weight} for weight in weights], pyramid


def test_without_a_name_it_is_what_it_was():
    method = optimisation()
    assert (method.transform, method.similarity, method.pyramid, method.confine) == (
        "bspline",
        "ncc",
        "default",
        False,
    )


def test_registering_by_task_is_registering_by_what_it_says(hearts):
    by_name = register(hearts.fixed[0], hearts.moving[0], settings="cine")
    spelt = register(
        hearts.fixed[0], hearts.moving[0], "bspline", similarity=TASKS["cine"].similarity
    )
    assert str(spelt.similarity) == "ncc=1,lncc=0.5"
    np.testing.assert_array_equal(by_name.displacement, spelt.displacement)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"settings": "lung"}, "settings must be one of .*'lung-ct'.* Received: settings='lung'"),
        ({"settings": 3}, "Received: settings=3"),
        ({"settings": "lung-ct", "pyramid": "slow"}, "pyramid must be one of"),
    ],
)
def test_what_is_no_task(options, message):
    with pytest.raises(InputError, match=message):
        register(np.eye(8), np.eye(8), **options)
