import math
import re

import numpy as np
import pytest
from dlir_cases import AFFINE, FINE, FLAT, SOLID, inputs, randomised

from tfreg.errors import InputError
from zoo.dlir import tiles
from zoo.dlir.affine import AffineConvNet
from zoo.dlir.deformable import DeformableConvNet
from zoo.dlir.model import DLIR

pytestmark = pytest.mark.plain


def least(model, pair):
    """The smallest budget that is enough, which the error of a smaller one names."""
    with pytest.raises(InputError, match=r"at least .* Received: memory_gib=1e-09") as error:
        model.register(pair["fixed"], pair["moving"], memory_gib=1e-9)
    return float(re.search(r"at least (\S+) GiB", str(error.value))[1])


@pytest.mark.on_jax
@pytest.mark.parametrize(
    ("stages", "shape", "moving_shape"),
    [
        ([FLAT, FINE], (45, 70), None),
        ([AFFINE, FLAT, AFFINE], (64, 33), (75, 50)),
        ([SOLID], (11, 21, 43), None),
        ([AFFINE, SOLID], (9, 26, 40), (14, 23, 37)),
    ],
)
def test_tiles_answer_as_the_whole_does(rng, numpy, stages, shape, moving_shape):
    """Odd sizes, spacings that differ, and borders between tiles that nobody can see."""
    model = randomised(DLIR(len(shape), stages), outputs=0.03)
    pair = inputs(rng, shape, moving_shape)
    expected = numpy(model.parameters(pair["fixed"], pair["moving"]))
    assert np.abs(expected).max() > 0.3
    found = tiles.parameters(model, pair["fixed"], pair["moving"], len(stages), 16)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    boxes = list(tiles.boxes(shape, 16, model.networks[-1].halo))
    assert len(boxes) == math.prod(math.ceil(n / 16) for n in shape)


@pytest.mark.parametrize(("spacing", "halo"), [((8, 4), (24, 16)), ((2, 16), (12, 48))])
def test_a_control_point_sees_nothing_beyond_its_halo(rng, numpy, spacing, halo):
    network = DeformableConvNet(spacing, kernels=3)
    assert network.halo == halo
    shape = tuple(16 * s for s in spacing)
    pair = inputs(rng, shape, batch=1)
    network(pair["fixed"], pair["moving"])
    network.outputs.kernel.assign(rng.normal(0, 1, network.outputs.kernel.shape))
    image = pair["fixed"]
    before = numpy(network(image, pair["moving"]))[0, 8, 8]
    for axis, s in enumerate(spacing):
        # The cell of the control point begins at 8 s and ends before 9 s.
        places = [
            (8 * s - halo[axis] - 1, False),
            (9 * s + halo[axis], False),
            (7 * s, True),
            (8 * s, True),
        ]
        for place, seen in places:
            changed = image.copy()
            changed[(slice(None),) * (1 + axis) + (place,)] += 1
            after = numpy(network(changed, pair["moving"]))[0, 8, 8]
            assert (after != before).any() == seen


@pytest.mark.parametrize(
    ("stages", "shape", "moving_shape"),
    [
        pytest.param([AFFINE, FLAT], (61, 90), (70, 85), marks=pytest.mark.long),
        ([AFFINE, SOLID], (9, 40, 51), None),
        pytest.param(
            *([AFFINE, {**SOLID, "kernels": (2, 3, 5)}], (9, 40, 51), None),
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_budget_gives_tiles_and_the_same_answer(rng, stages, shape, moving_shape):
    model = randomised(DLIR(len(shape), stages), outputs=0.03)
    pair = inputs(rng, shape, moving_shape)
    budget = least(model, pair)
    sizes = pair["fixed"].shape, pair["moving"].shape
    tile = tiles.tile_size(model, *sizes, budget)
    assert tile and tile % max(network.step for network in model.networks) == 0
    with pytest.raises(InputError, match="at least"):
        tiles.tile_size(model, *sizes, 0.9 * budget)
    whole = model.register(pair["fixed"], pair["moving"])
    tiled = model.register(pair["fixed"], pair["moving"], memory_gib=budget)
    np.testing.assert_allclose(tiled.displacement, whole.displacement, atol=1e-3)
    np.testing.assert_allclose(tiled.moved, whole.moved, atol=1e-3)
    np.testing.assert_allclose(tiled.similarity_before, whole.similarity_before, atol=1e-5)
    one = model.register(pair["fixed"], pair["moving"], memory_gib=budget, stages=1)
    np.testing.assert_allclose(
        one.displacement,
        model.register(pair["fixed"], pair["moving"], stages=1).displacement,
        atol=1e-3,
    )
    refined = model.register(pair["fixed"], pair["moving"], memory_gib=budget, refine=2)
    assert (refined.similarity_after >= tiled.similarity_after - 0.05).all()


@pytest.mark.long
def test_tiles_of_a_second_pair_know_its_own_sizes(rng):
    """The fixed images are alike, the moving ones are not."""
    model = randomised(DLIR(2, [AFFINE, FLAT]), outputs=0.03)
    for moving_shape in ((70, 85), (61, 90), (52, 99)):
        pair = inputs(rng, (61, 90), moving_shape, batch=1)
        both = [
            model.register(pair["fixed"], pair["moving"], memory_gib=budget).displacement
            for budget in (least(model, pair), None)
        ]
        np.testing.assert_allclose(*both, atol=1e-3)


def test_more_memory_makes_larger_tiles_until_there_are_none(rng):
    model = DLIR(3, [{"kind": "affine"}, {"kind": "deformable", "spacing": [4, 8, 8]}])
    model.build()
    shape = (1, 100, 256, 256, 1)
    found = [tiles.tile_size(model, shape, shape, budget) for budget in (1.0, 1.5, 2.0, 5.0, 100)]
    assert found[-1] is None and found[0] is not None
    sizes = [tile or 256 for tile in found]
    assert sizes == sorted(sizes) and sizes[0] < sizes[3]
    assert all(tile % 16 == 0 for tile in sizes)  # whole steps of the affine network too
    # A large moving image counts as well.
    wide = (1, 200, 256, 512, 1)
    assert tiles.tile_size(model, shape, shape, 3.0) is None
    assert tiles.tile_size(model, shape, wide, 3.0) is not None


def test_enough_memory_changes_nothing(rng):
    model = randomised(DLIR(2, [AFFINE, FLAT]))
    pair = inputs(rng, (20, 28))
    expected = model.register(pair["fixed"], pair["moving"])
    functions = len(model._functions)
    for options in ({"memory_gib": 100}, {"memory_gib": np.float32(8)}, {"stages": 2}):
        found = model.register(pair["fixed"], pair["moving"], **options)
        np.testing.assert_array_equal(found.displacement, expected.displacement)
    assert len(model._functions) == functions and not model.kept_graphs


def test_tiles_follow_the_weights(rng):
    model = randomised(DLIR(2, [FLAT]))
    pair = inputs(rng, (40, 44))
    budget = least(model, pair)
    before = model.register(pair["fixed"], pair["moving"], memory_gib=budget)
    model.set_weights([0 * weight for weight in model.get_weights()])
    after = model.register(pair["fixed"], pair["moving"], memory_gib=budget)
    assert np.abs(before.displacement).max() > 0.2
    np.testing.assert_array_equal(after.displacement, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"stages": bad}, "stages must be 1 to 2") for bad in (0, 3, -1, 2.0, True, "1", [1])),
        *(({"memory_gib": bad}, "memory_gib must be") for bad in (0, -1, np.nan, True, "2", [1])),
        ({"memory": 2}, r"its options are stages, memory_gib\. Received: memory$"),
    ],
)
def test_bad_options(options, message):
    image = np.zeros((16, 16))
    with pytest.raises(InputError, match=message):
        DLIR(2, [AFFINE, FLAT]).register(image, image, **options)


@pytest.mark.parametrize(
    ("spacing", "kernels", "expected"),
    [
        ((4, 4, 4), 3, 3),
        ((4, 4, 4), (2, 3, 40), 2),
        ((1, 4, 4), (2, 3, 40), 2.5),
        ((1, 1, 1), (2, 3, 5), 5),
    ],
)
def test_features_behind_a_pooling_count_for_the_voxels_that_are_left(spacing, kernels, expected):
    assert tiles.features(DeformableConvNet(spacing, kernels=kernels)) == expected
    assert tiles.features(AffineConvNet(3, kernels=7)) == 7
