import numpy as np
import pytest
from dlir_cases import (
    AFFINE,
    FINE,
    FLAT,
    SOLID,
    composed,
    inputs,
    mapped,
    randomised,
    smooth,
    warped,
)

from tfreg import ops
from tfreg.errors import InputError
from zoo.dlir.affine import AffineConvNet
from zoo.dlir.deformable import DeformableConvNet
from zoo.dlir.model import DLIR

pytestmark = pytest.mark.plain


@pytest.mark.parametrize("accumulate", ["compose", "add"])
@pytest.mark.parametrize(
    ("stages", "shape"),
    [
        ([AFFINE, FLAT, FINE], (21, 30)),
        ([AFFINE, AFFINE, SOLID], (6, 17, 20)),
        ([SOLID], (5, 8, 9)),
    ],
)
def test_it_starts_at_the_identity(rng, numpy, stages, shape, accumulate):
    model = DLIR(len(shape), stages, accumulate=accumulate)
    pair = inputs(rng, shape)
    answer = model(pair)
    np.testing.assert_array_equal(numpy(answer["displacement"]), 0)
    np.testing.assert_array_equal(numpy(answer["parameters"]), 0)
    np.testing.assert_array_equal(numpy(answer["moved"]), pair["moving"])


def test_the_affine_network_has_the_papers_layers():
    network = AffineConvNet(ndim=3)
    network.build()
    pooled = [c.pooling is not None for c in network.convolutions]
    assert pooled == [True] * 4 + [False] and len(network.dense) == 2
    heads = ["translation", "rotation", "scaling", "shearing"]
    assert [head.name for head in network.heads] == heads
    assert [head.units for head in network.heads] == [3, 3, 3, 3] and network.size == 12
    shapes = [tuple(c.convolution.kernel.shape) for c in network.convolutions]
    assert shapes == [(3, 3, 3, 1, 16)] + 4 * [(3, 3, 3, 16, 16)]
    # One image or the other: the same weights look at both.
    assert len(network.trainable_weights) == 5 * 3 + 2 * 2 + 4 * 2


@pytest.mark.parametrize(
    ("spacing", "pools"),
    [
        ((8, 8, 8), [(2, 2, 2)] * 3),
        ((1, 8, 8), [(1, 2, 2)] * 3),
        ((2, 16, 4), [(2, 2, 2), (1, 2, 2), (1, 2, 1), (1, 2, 1)]),
        ((1, 1), []),
    ],
)
def test_each_axis_is_pooled_to_its_own_spacing(rng, spacing, pools):
    network = DeformableConvNet(spacing, kernels=2)
    found = [tuple(c.pooling.pool_size) for c in network.convolutions if c.pooling is not None]
    assert found == pools and len(network.convolutions) == len(pools) + 4
    shape = (5, 19, 21)[: len(spacing)]
    image = smooth(rng, shape, 1)
    grid = tuple(int(np.ceil(n / s)) for n, s in zip(shape, spacing, strict=True))
    points = network(image, image)
    assert tuple(points.shape) == (1, *grid, len(spacing)) and network.grid(shape) == grid
    assert tuple(network.displacement(points, shape).shape) == (1, *shape, len(spacing))


def test_each_convolution_has_its_own_number_of_kernels_and_further_ones_that_of_the_last(rng):
    network = DeformableConvNet((4, 4, 4), kernels=(2, 3, 5), wider=1)
    network.build()
    shapes = [tuple(c.convolution.kernel.shape) for c in network.convolutions]
    assert [shape[:3] for shape in shapes] == [(3, 3, 3)] * 3 + [(1, 1, 1)] * 2
    assert [shape[3:] for shape in shapes] == [(2, 2), (2, 3), (3, 5), (5, 5), (5, 5)]
    image = smooth(rng, (8, 9, 10), 1)
    assert tuple(network(image, image).shape) == (1, 2, 3, 3, 3)


@pytest.mark.parametrize("shape", [(20, 26), (7, 20, 26)])
def test_the_matrix_takes_centre_to_centre(rng, numpy, shape):
    """Without translation, whatever else there is, and with sizes that differ."""
    ndim = len(shape)
    moving_shape = tuple(n + 3 * a + 2 for a, n in enumerate(shape))
    network = AffineConvNet(ndim)
    parameters = rng.normal(0, 5, (2, network.size)).astype("float32")
    centre, other = ((np.array(s) - 1) / 2 for s in (shape, moving_shape))
    for translation in (0, parameters[:, :ndim].copy()):
        parameters[:, :ndim] = translation
        matrix = numpy(network.matrix(parameters, shape, moving_shape))
        arrived = matrix[..., :ndim] @ centre + matrix[..., ndim]
        np.testing.assert_allclose(arrived, other + np.zeros((2, 1)) + translation, atol=1e-4)
    assert np.abs(matrix[:, :, :ndim] - np.eye(ndim)).max() > 0.05


def test_parts_are_within_the_bounds_of_torchir(numpy):
    network, shape = AffineConvNet(2), (30, 40)
    for sign in (-1, 1):
        parameters = np.array([[0, 0, sign, sign, -sign, sign]], "float32") * 1e4
        parts = ops.decompose_affine(network.matrix(parameters, shape, shape), shape)
        np.testing.assert_allclose(numpy(parts.rotation), sign * np.pi / 2, atol=1e-3)
        np.testing.assert_allclose(numpy(parts.scaling)[0], [2.0**sign, 2.0**-sign], atol=1e-3)
        np.testing.assert_allclose(numpy(parts.shearing), sign, atol=2e-3)


def test_a_parameter_is_how_far_a_corner_moves(numpy):
    """One voxel of rotation, scaling or shearing moves no voxel further than about one voxel."""
    network, shape = AffineConvNet(3), (20, 40, 60)
    for part in range(3, 12):
        parameters = np.zeros((1, 12), "float32")
        parameters[0, part] = 1
        matrix = network.matrix(parameters, shape, shape)
        u = numpy(ops.linear_displacement(matrix, shape))
        assert 0.1 < np.linalg.norm(u, axis=-1).max() < 1.6


@pytest.mark.on_jax
def test_images_of_other_sizes_go_through_the_affine_network(rng, numpy):
    model = randomised(DLIR(2, [AFFINE, FLAT]), outputs=0.02)
    pair = inputs(rng, (22, 31), (37, 26))
    answer = model(pair)
    u, matrix = (
        numpy(answer["displacement"]),
        numpy(model.networks[0].matrix(answer["parameters"][:, :6], (22, 31), (37, 26))),
    )
    own = model.stage_parameters(answer["parameters"], (22, 31))
    deformation = numpy(model.networks[1].displacement(own[1], (22, 31)))
    for k in range(2):
        x = np.moveaxis(np.indices((22, 31)), 0, -1)
        inner = x + deformation[k]
        expected = inner @ matrix[k, :, :2].T + matrix[k, :, 2] - x
        np.testing.assert_allclose(u[k], expected, atol=1e-4)
        moved = warped(pair["moving"][k, ..., 0], u[k])
        np.testing.assert_allclose(numpy(answer["moved"])[k, ..., 0], moved, atol=1e-4)
    found = model.register(pair["fixed"], pair["moving"])
    np.testing.assert_allclose(found.displacement, u, atol=1e-3)
    assert found.moved.shape == (2, 22, 31) and found.moving.shape == (2, 37, 26)
    with pytest.raises(InputError, match="one shape"):
        DLIR(2, [FLAT]).register(pair["fixed"], pair["moving"])
    with pytest.raises(InputError, match="one shape"):
        model.register(pair["fixed"], pair["moving"][:1])


@pytest.mark.on_jax
@pytest.mark.parametrize(
    ("stages", "shape"),
    [([AFFINE, FLAT, FINE, AFFINE], (21, 30)), ([SOLID, AFFINE, SOLID], (6, 13, 19))],
)
@pytest.mark.parametrize("accumulate", ["compose", "add"])
def test_each_stage_registers_what_those_before_have_left(rng, numpy, stages, shape, accumulate):
    model = randomised(DLIR(len(shape), stages, accumulate=accumulate), outputs=0.03)
    pair = inputs(rng, shape)
    answer = model(pair)
    x = np.moveaxis(np.indices(shape), 0, -1)
    expected, matrix = np.zeros((2, *shape, len(shape))), None
    for k, network in enumerate(model.networks):
        moved = [warped(m[..., 0], u) for m, u in zip(pair["moving"], expected, strict=True)]
        own = network(pair["fixed"], np.stack(moved).astype("float32")[..., None])
        if isinstance(network, AffineConvNet):
            matrices = numpy(network.matrix(own, shape, shape)).astype("float64")
            step = np.stack([mapped(m, shape) - x for m in matrices])
            matrix = matrices if k == 0 else None
        else:
            step = numpy(network.displacement(own, shape))
        assert np.abs(step).max() > 0.2
        if accumulate == "add":
            expected = expected + step
        elif k == 1 and matrix is not None:
            both = zip(matrix, step, strict=True)
            expected = np.stack([(x + s) @ m[:, :-1].T + m[:, -1] - x for m, s in both])
        else:
            expected = np.stack([composed(b, s) for b, s in zip(expected, step, strict=True)])
    np.testing.assert_allclose(numpy(answer["displacement"]), expected, atol=2e-3)
    # The order matters, and what is warped is the moving image itself, once.
    once = [warped(m[..., 0], u) for m, u in zip(pair["moving"], expected, strict=True)]
    np.testing.assert_allclose(numpy(answer["moved"])[..., 0], once, atol=2e-3)


@pytest.mark.parametrize("second", [AFFINE, FLAT])
def test_after_an_affine_stage_maps_compose_exactly_outside_too(rng, numpy, second):
    """As maps, not as fields that end where the image does."""
    shape = (16, 24)
    model = DLIR(2, [AFFINE, second])
    model.build()
    first = np.array([[9, -7, 4, 3, -2, 3]], "float32")
    matrix = numpy(model.networks[0].matrix(first, shape, shape))[0].astype("float64")
    x = mapped(np.eye(2, 3), shape)
    if second is AFFINE:
        own = np.array([[-8, 6, -3, 2, 2, 1]], "float32")
        inner = mapped(numpy(model.networks[1].matrix(own, shape, shape))[0], shape)
    else:
        own = rng.normal(0, 6, (1, 2, 6, 2)).astype("float32")
        inner = x + numpy(model.networks[1].displacement(own, shape))[0]
    assert (inner < -2).any() and (inner > np.array(shape) + 1).any()
    u = numpy(model.displacement(np.concatenate([first, own.reshape(1, -1)], axis=1), shape))[0]
    np.testing.assert_allclose(u, inner @ matrix[:, :2].T + matrix[:, 2] - x, atol=1e-4)
