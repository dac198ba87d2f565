import itertools

import keras
import numpy as np
import pytest
from dlir_cases import AFFINE, FINE, FLAT, SOLID, inputs, randomised, smooth

from tfreg import losses, ops
from tfreg.errors import InputError
from zoo.dlir.deformable import DeformableConvNet
from zoo.dlir.model import DLIR

pytestmark = pytest.mark.plain


def weights_of(network):
    return [keras.ops.convert_to_numpy(variable).copy() for variable in network.variables]


def changed(network, before):
    """Names of the variables that are not what they were, to the bit."""
    after = weights_of(network)
    names = [variable.path.split("/")[-1] for variable in network.variables]
    return {n for n, a, b in zip(names, after, before, strict=True) if (a != b).any()}


def trained(model, pair, steps=3, jit_compile=False):
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=jit_compile)
    return [float(model.train_on_batch(pair, return_dict=True)["loss"]) for _ in range(steps)]


STATISTICS = {"moving_mean", "moving_variance"}


@pytest.mark.long
@pytest.mark.on_jax
def test_the_last_stage_learns_alone(rng):
    stage = 2
    model = randomised(DLIR(2, [AFFINE, FLAT, FINE]))
    model.use_stages(stage)
    pair = inputs(rng, (20, 28))
    before = [weights_of(network) for network in model.networks]
    trained(model, pair)
    for index, network in enumerate(model.networks):
        found = changed(network, before[index])
        if index + 1 == stage:
            assert found == {*STATISTICS, "kernel", "bias", "gamma", "beta"}
        else:
            assert not found
    assert model(pair)["parameters"].shape[1] == sum((6, 3 * 7 * 2, 5 * 14 * 2)[:stage])
    found = model.register(pair["fixed"], pair["moving"])
    np.testing.assert_allclose(
        found.displacement,
        model.register(pair["fixed"], pair["moving"], stages=stage).displacement,
    )


@pytest.mark.on_jax
@pytest.mark.long
def test_jointly_every_stage_learns(rng):
    model = randomised(DLIR(2, [AFFINE, FLAT, FINE], joint=True))
    model.use_stages(3)
    pair = inputs(rng, (20, 28))
    before = [weights_of(network) for network in model.networks]
    trained(model, pair, 1)
    for network, weights in zip(model.networks, before, strict=True):
        assert changed(network, weights) == {*STATISTICS, "kernel", "bias", "gamma", "beta"}
    model.use_stages(2)
    assert [network.trainable for network in model.networks] == [True, True, False]


@pytest.mark.on_jax
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_is_that_of_the_stages_that_learn(rng, numpy, joint, training, masked):
    """Of a joint model the sum over its stages, when it validates too."""
    model = randomised(DLIR(2, [AFFINE, FLAT, FINE], joint=joint, bending_weight=0.3))
    pair = inputs(rng, (20, 28))
    mask = None
    if masked:
        mask = pair["mask"] = (smooth(rng, (20, 28)) > 0.5).astype("float32")
    answer = model(pair, training=training)
    found = float(numpy(model.compute_loss(pair, None, answer)))
    parameters = numpy(answer["parameters"])
    own = model.stage_parameters(parameters, (20, 28))
    ends = np.cumsum([np.prod(p.shape[1:]) for p in own])
    expected, similarities = 0.0, []
    for index in range(3) if joint else (2,):
        u = model.displacement(parameters[:, : ends[index]], (20, 28))
        moved = ops.resample(pair["moving"], u)
        similarities.append(numpy(losses.ncc(pair["fixed"], moved, mask)).mean())
        expected -= similarities[-1]
        if index > 0:
            spacing = model.networks[index].spacing
            cells = own[index] / np.array(spacing, "float32")
            energy = losses.bspline_bending_energy(cells, (1, 1), "edge")
            expected += 0.3 * numpy(energy).mean()
    assert found == pytest.approx(expected, abs=1e-4)
    assert float(numpy(model.ncc_tracker.result())) == pytest.approx(similarities[-1], abs=1e-5)
    assert ("moved_1" in answer) == joint


def test_an_affine_stage_has_no_bending_energy(rng, numpy):
    pair = inputs(rng, (20, 28))
    model = randomised(DLIR(2, [AFFINE, FLAT], bending_weight=1000.0))
    model.use_stages(1)
    loss = float(numpy(model.compute_loss(pair, None, model(pair))))
    assert -1 <= loss <= 1


@pytest.mark.on_jax
def test_bending_energy_is_in_cells(rng, numpy):
    """The same displacement and place in cells is as bent at every spacing; exact derivatives."""
    cells = rng.normal(0, 0.3, (2, 5, 4, 6, 3)).astype("float32")
    found = []
    for spacing in ((4, 4, 4), (16, 16, 16), (1, 8, 2)):
        network = DeformableConvNet(spacing)
        found.append(numpy(network.bending_energy(cells * np.array(spacing, "float32"))))
    expected = 0.0
    for a, b in itertools.product(range(3), repeat=2):
        order = [(axis == a) + (axis == b) for axis in range(3)]
        second = numpy(ops.bspline_derivative(cells, (1, 1, 1), order, "edge"))
        expected = expected + (second**2).sum(-1).mean((1, 2, 3))
    for energy in found:
        np.testing.assert_allclose(energy, expected, rtol=1e-4)


@pytest.mark.long
@pytest.mark.compiled
def test_it_learns_compiled(rng):
    """Stage after stage, on pairs that are a turn and a warp apart."""
    keras.utils.set_random_seed(0)
    model = DLIR(2, [{**AFFINE, "kernels": 8}, {**FINE, "spacing": [4, 4], "kernels": 8}])
    model.build()
    fixed = smooth(rng, (24, 24), 8)
    moving = np.roll(fixed, 2, axis=2)
    pair = {"fixed": fixed, "moving": moving}
    before = float(np.mean(keras.ops.convert_to_numpy(losses.ncc(fixed, moving))))
    reached = []
    for stage in (1, 2):
        model.use_stages(stage)
        reached.append(-trained(model, pair, 30, jit_compile=True)[-1])
    assert reached[0] > before + 0.1 and reached[1] > reached[0]


@pytest.mark.long
@pytest.mark.parametrize(
    ("stages", "shape", "moving_shape"),
    [([AFFINE, FLAT], (30, 40), None), ([AFFINE, FLAT], (40, 40), (46, 38))],
)
def test_refining_makes_it_better(rng, stages, shape, moving_shape):
    model = DLIR(2, stages)
    size = moving_shape or shape
    # Parts of one larger image that are three pixels apart, beyond the difference of the sizes.
    whole = smooth(rng, (60, 60), 1)[0, ..., 0]
    fixed = whole[8 : 8 + shape[0], 8 : 8 + shape[1]]
    moving = whole[6 : 6 + size[0], 7 : 7 + size[1]]
    for refine in (40, "fast"):
        answer = model.register(fixed, moving, refine=refine)
        assert answer.similarity_after > max(0.9, answer.similarity_before + 0.1)
        assert answer.displacement.shape == (*shape, 2)
        middle = answer.displacement[12:-12, 12:-12]
        np.testing.assert_allclose(middle.mean((0, 1)), [2, 1], atol=0.4)


def test_refining_makes_volumes_better(rng):
    model = DLIR(3, [AFFINE, SOLID])
    fixed = smooth(rng, (9, 16, 20), 1)[0, ..., 0]
    answer = model.register(fixed, np.roll(fixed, 1, axis=1), refine=30)
    assert answer.similarity_after > answer.similarity_before + 0.1


@pytest.mark.on_jax
def test_save_load_same_numbers(rng, numpy, tmp_path):
    model = randomised(DLIR(2, [AFFINE, FLAT]))
    pair = inputs(rng, (20, 28))
    expected = numpy(model(pair)["moved"])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(numpy(again(pair)["moved"]), expected)
    model.save_weights(tmp_path / "model.weights.h5")
    other = DLIR(**model.get_config())
    other.build()
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(numpy(other(pair)["moved"]), expected)


def test_every_option_survives_the_config():
    options = {
        "ndim": 3,
        "stages": [AFFINE, SOLID],
        "accumulate": "add",
        "bending_weight": 0.5,
        "joint": True,
        "voxel_size": (10.0, 1.5, 1.5),
        "intensity_range": (-1000.0, 200.0),
        "percentiles": (0.5, 99.5),
        "refine_learning_rate": 0.25,
        "refine_folding_weight": 3.0,
        "refinement": {"similarity": "lncc", "confine": True},
        "similarity": "mind",
        "keep": "better",
    }
    config = DLIR(**options).get_config()
    assert {**config, "name": None} == {**options, "name": None}
    assert DLIR.from_config(config).get_config() == config
    network = DLIR.from_config(config).networks[1]
    assert network.spacing == (2, 4, 8) and network.kernels == 3 and network.wider == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": []}, "one stage or more"),
        ({"stages": [{"kind": "rigid"}]}, "affine, or deformable.*rigid"),
        ({"stages": [{"spacing": [4, 4]}]}, "affine, or deformable"),
        ({"stages": [{"kind": "deformable"}]}, "affine, or deformable"),
        ({"stages": [SOLID]}, "a spacing per axis.*ndim=2"),
        ({"stages": [{**FLAT, "spacing": [6, 4]}]}, r"powers of two.*\(6, 4\)"),
        ({"stages": [{**FLAT, "spacing": [0, 4]}]}, "powers of two"),
        ({"stages": [{**FLAT, "spacing": [2.5, 4]}]}, "powers of two"),
        ({"stages": [{**FLAT, "spacing": [4]}]}, "two or three powers"),
        ({"stages": [{**FLAT, "kernels": 0}]}, "kernels=0"),
        ({"stages": [{**FLAT, "kernels": [4] * 9}]}, "at most, one per convolution"),
        ({"stages": [{**FLAT, "kernels": []}]}, r"kernels=\[\]"),
        ({"stages": [{**FLAT, "kernels": [4, 0]}]}, r"kernels=\[4, 0\]"),
        ({"stages": [{**FLAT, "wider": -1}]}, "wider=-1"),
        ({"stages": [{**AFFINE, "nodes": 0}]}, "nodes=0"),
        ({"stages": [{**AFFINE, "convolutions": 0}]}, "convolutions=0"),
        ({"stages": [{**AFFINE, "depth": 3}]}, "depth"),
        ({"ndim": 4}, "ndim=4"),
        ({"accumulate": "sum"}, "accumulate=sum"),
        ({"bending_weight": -1}, "bending_weight=-1"),
        ({"bending_weight": np.nan}, "bending_weight=nan"),
        ({"bending_weight": np.inf}, "bending_weight=inf"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        DLIR(**{"ndim": 2, "stages": [AFFINE, FLAT], **options})


@pytest.mark.parametrize("count", [0, 3, 1.0, True, None])
def test_stages_that_are_not_there(count):
    with pytest.raises(InputError, match="stages must be 1 to 2"):
        DLIR(2, [AFFINE, FLAT]).use_stages(count)


def test_images_of_one_voxel_are_refused():
    with pytest.raises(InputError, match="at least 2 voxels"):
        DLIR(2, [FLAT]).register(np.zeros((1, 9)), np.zeros((1, 9)))


@pytest.mark.parametrize(
    "option",
    [
        {"intensity_range": (400.0, -1000.0)},
        {"intensity_range": (0.0, float("inf"))},
        {"intensity_range": (0.0, 1.0, 2.0)},
        {"intensity_range": "ab"},
        {"voxel_size": (2.5, 2.5)},
        {"voxel_size": (2.5, 0.0, 2.5)},
        {"voxel_size": (2.5, float("nan"), 2.5)},
    ],
)
def test_ranges_and_sizes_that_no_network_can_have_are_refused(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        DLIR(3, [{"kind": "affine"}], **option)
