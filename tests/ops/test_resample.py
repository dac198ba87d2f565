import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from tfreg import ops

SHAPES = [(7, 11), (5, 8, 6)]


def random_case(rng, shape, channels=1, batch=2, size=2.5):
    image = rng.normal(size=(batch, *shape, channels)).astype("float32")
    displacement = (size * rng.normal(size=(batch, *shape, len(shape)))).astype("float32")
    return image, displacement


def scipy_resample(image, displacement, order, mode, cval=0.0):
    grid = np.moveaxis(np.indices(displacement.shape[1:-1]), 0, -1)
    out = np.empty((*displacement.shape[:-1], image.shape[-1]), "float64")
    for b in range(len(image)):
        points = np.moveaxis(grid + displacement[b], -1, 0)
        for c in range(image.shape[-1]):
            out[b, ..., c] = map_coordinates(
                image[b, ..., c].astype("float64"), points, order=order, mode=mode, cval=cval
            )
    return out


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "catmull-rom"])
@pytest.mark.parametrize("mode", ["border", "constant"])
def test_zero_displacement_is_exactly_the_image(rng, numpy, shape, interpolation, mode):
    image, displacement = random_case(rng, shape, channels=2)
    moved = numpy(ops.resample(image, 0 * displacement, interpolation, mode))
    np.testing.assert_array_equal(moved, image)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "catmull-rom"])
def test_translation_moves_along_its_own_axis(rng, numpy, shape, interpolation):
    image, displacement = random_case(rng, shape)
    for axis, steps in enumerate((1, 2, 3)[: len(shape)]):
        shift = np.zeros_like(displacement)
        shift[..., axis] = steps
        moved = numpy(ops.resample(image, shift, interpolation))
        index = np.clip(np.arange(shape[axis]) + steps, 0, shape[axis] - 1)
        np.testing.assert_array_equal(moved, np.take(image, index, axis=1 + axis))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["border", "constant"])
@pytest.mark.compiled
def test_linear_equals_scipy(rng, numpy, shape, channels, mode):
    image, displacement = random_case(rng, shape, channels)
    fill = 0.0 if mode == "border" else -3.5
    moved = numpy(ops.resample(image, displacement, "linear", mode, fill))
    expected = scipy_resample(
        image, displacement, 1, {"border": "nearest"}.get(mode, mode), cval=fill
    )
    np.testing.assert_allclose(moved, expected, atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.compiled
def test_nearest_equals_scipy_and_keeps_integers(rng, numpy, shape):
    _, displacement = random_case(rng, shape)
    labels = rng.integers(0, 9, size=(2, *shape, 1)).astype("int32")
    for mode, fill in (("border", 0.0), ("constant", 7.0)):
        moved = numpy(ops.resample(labels, displacement, "nearest", mode, fill))
        expected = scipy_resample(
            labels, displacement, 0, {"border": "nearest"}.get(mode, mode), cval=fill
        )
        assert moved.dtype == np.int32
        np.testing.assert_array_equal(moved, expected)


def test_output_grid_may_differ_from_the_image(rng, numpy):
    image, _ = random_case(rng, (7, 11))
    displacement = rng.normal(size=(2, 4, 15, 2)).astype("float32")
    moved = numpy(ops.resample(image, displacement))
    np.testing.assert_allclose(moved, scipy_resample(image, displacement, 1, "nearest"), atol=2e-6)


def test_axis_of_one_voxel(rng, numpy):
    image, displacement = random_case(rng, (1, 9))
    moved = numpy(ops.resample(image, displacement))
    np.testing.assert_allclose(moved, scipy_resample(image, displacement, 1, "nearest"), atol=2e-6)


def test_sample_is_resample_at_points(rng, numpy):
    image, displacement = random_case(rng, (5, 8, 6))
    grid = numpy(ops.identity_grid((5, 8, 6)))
    points = (grid + displacement).reshape(2, -1, 3)
    at_points = numpy(ops.sample(image, points)).reshape(image.shape)
    np.testing.assert_allclose(at_points, numpy(ops.resample(image, displacement)), atol=1e-6)


def _inside(rng, shape, batch=1):
    """Displacements whose targets stay clear of voxel centres, where linear has a kink."""
    grid = np.moveaxis(np.indices(shape), 0, -1)
    low = rng.integers(0, np.array(shape) - 1, size=(batch, *shape, len(shape)))
    return low + rng.uniform(0.1, 0.9, size=low.shape) - grid


# Both rules at the border in both dimensions; the kernels share them. Compiling takes seconds each.
GRADIENTS = [
    ("linear", "border", (4, 6)),
    ("linear", "constant", (4, 6)),
    pytest.param("linear", "border", (3, 4, 5), marks=pytest.mark.compiled),
    pytest.param("linear", "constant", (3, 4, 5), marks=pytest.mark.compiled),
    pytest.param("cubic", "constant", (4, 6), marks=pytest.mark.compiled),
    ("cubic", "border", (4, 6)),
    ("cubic", "border", (3, 4, 5)),
    ("cubic", "constant", (3, 4, 5)),
    ("catmull-rom", "border", (4, 6)),
    ("catmull-rom", "constant", (3, 4, 5)),
]


@pytest.mark.parametrize(("interpolation", "mode", "shape"), GRADIENTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_of_the_displacement(rng, check_gradient, shape, mode, interpolation, channels):
    image = keras.ops.convert_to_tensor(rng.normal(size=(1, *shape, channels)), "float64")
    weights = keras.ops.convert_to_tensor(rng.normal(size=(1, *shape, channels)), "float64")
    displacement = _inside(rng, shape)
    displacement[0, 0, 0] = 40.3  # far outside
    displacement[0, 1, 1] = -40.3
    found = check_gradient(
        lambda u: weights * ops.resample(image, u, interpolation, mode), displacement
    )
    assert np.abs(found).max() > 0.1
    assert (found[0, 0, 0] == 0).all() and (found[0, 1, 1] == 0).all()


@pytest.mark.parametrize(("interpolation", "mode", "shape"), GRADIENTS)
def test_gradient_of_the_image(rng, check_gradient, shape, mode, interpolation):
    ndim = len(shape)
    displacement = keras.ops.convert_to_tensor(2 * rng.normal(size=(2, *shape, ndim)), "float64")
    weights = keras.ops.convert_to_tensor(rng.normal(size=(2, *shape, 2)), "float64")
    image = rng.normal(size=(2, *shape, 2))
    check_gradient(lambda i: weights * ops.resample(i, displacement, interpolation, mode), image)


@pytest.mark.compiled
def test_gradient_is_the_same_eager_graph_and_compiled(rng, numpy):
    image, displacement = random_case(rng, (6, 9))

    def gradient(image, displacement):
        return ops.value_and_gradient(
            lambda u: keras.ops.sum(ops.resample(image, u) ** 2, axis=(1, 2, 3)), displacement
        )[1]

    image, displacement = (keras.ops.convert_to_tensor(a) for a in (image, displacement))
    expected = numpy(gradient(image, displacement))
    assert np.abs(expected).max() > 0.1
    for wrap in (ops.graph, ops.compiled):
        np.testing.assert_allclose(numpy(wrap(gradient)(image, displacement)), expected, atol=1e-5)


@pytest.mark.compiled
def test_half_precision_image_keeps_float32_coordinates(numpy):
    size = 1000  # bfloat16 and float16 cannot count that far in steps of a quarter
    ramp = np.zeros((1, 2, size, 1), "float16")
    ramp[0, :, 700] = 1
    displacement = np.zeros((1, 2, size, 2), "float32")
    displacement[..., 1] = 0.25
    moved = numpy(ops.resample(ramp, displacement))
    assert moved.dtype == np.float16
    assert moved[0, 0, 699, 0] == 0.25 and moved[0, 0, 700, 0] == 0.75


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"interpolation": "cubical"}, "cubical"),
        ({"mode": "reflect"}, "reflect"),
        ({"fill_value": 1.0}, "no effect"),
        ({"image": np.zeros((4, 4))}, "2 or 3 spatial axes"),
        ({"displacement": np.zeros((1, 4, 4, 3), "float32")}, "2 coordinates"),
        ({"displacement": np.zeros((1, 4, 2), "float32")}, "displacement for this image"),
        ({"displacement": np.zeros((3, 4, 4, 2), "float32")}, "Batch sizes"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {
        "image": np.zeros((1, 4, 4, 1), "float32"),
        "displacement": np.zeros((1, 4, 4, 2), "float32"),
        **change,
    }
    with pytest.raises(ValueError, match=message):
        ops.resample(**arguments)


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (4, 1, 5), (1, 1, 6)])
@pytest.mark.parametrize("mode", ["border", "constant"])
def test_axes_of_one_voxel_everywhere(rng, numpy, shape, mode):
    image, displacement = random_case(rng, shape, channels=2, size=1.0)
    displacement[:, ..., 0] *= rng.random(displacement.shape[:-1]) < 0.5  # some stay inside
    for interpolation, order in (("linear", 1), ("nearest", 0)):
        moved = numpy(ops.resample(image, displacement, interpolation, mode))
        expected = scipy_resample(image, displacement, order, {"border": "nearest"}.get(mode, mode))
        np.testing.assert_allclose(moved, expected, atol=2e-6)


def test_gradient_along_an_axis_of_one_voxel_is_zero(rng, check_gradient):
    image = keras.ops.convert_to_tensor(rng.normal(size=(1, 1, 6, 1)), "float64")
    displacement = _inside(rng, (2, 6))[:, :1] * [0.0, 1.0] + [0.0, 1e-3]
    found = check_gradient(lambda u: ops.resample(image, u)[..., 0] ** 2, displacement, samples=6)
    # Off the axis' only position the image is flat ("border"), so nothing pulls there.
    assert np.abs(found[..., 1]).max() > 0.1 and (found[..., 0] == 0).all()


def test_nearest_takes_halves_up_and_every_channel(rng, numpy):
    image = np.arange(12, dtype="int32").reshape(1, 1, 6, 2)
    displacement = np.zeros((1, 1, 6, 2), "float32")
    displacement[..., 1] = 0.5
    moved = numpy(ops.resample(image, displacement, "nearest"))
    np.testing.assert_array_equal(moved[0, 0], image[0, 0, [1, 2, 3, 4, 5, 5]])


def test_integers_become_float_under_linear(numpy):
    image = np.array([[[[0], [10]], [[20], [30]]]], "uint8")
    moved = numpy(ops.resample(image, np.full((1, 2, 2, 2), 0.5, "float32")))
    assert moved.dtype == np.float32 and moved[0, 0, 0, 0] == 15


if keras.config.backend() == "tensorflow":  # only there a graph may not know its sizes

    @pytest.mark.parametrize("interpolation", ["nearest", "linear"])
    def test_sizes_unknown_to_the_graph(rng, numpy, interpolation):
        import tensorflow as tf

        image, displacement = random_case(rng, (5, 7))
        signature = [tf.TensorSpec((None, None, None, c)) for c in (1, 2)]
        run = tf.function(lambda i, u: ops.resample(i, u, interpolation), input_signature=signature)
        expected = numpy(ops.resample(image, displacement, interpolation))
        np.testing.assert_allclose(numpy(run(image, displacement)), expected, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.compiled
def test_cubic_equals_scipys_order_3(rng, numpy, shape, channels):
    image, displacement = random_case(rng, shape, channels)
    moved = numpy(ops.resample(image, displacement, "cubic", "constant", -3.5))
    expected = scipy_resample(image, displacement, 3, "constant", cval=-3.5)
    np.testing.assert_allclose(moved, expected, atol=1e-5)
    # "border" clamps the position first; there SciPy's own "nearest" pads the image instead.
    grid = np.moveaxis(np.indices(shape), 0, -1)
    clamped = np.clip(grid + displacement, 0, np.array(shape) - 1) - grid
    moved = numpy(ops.resample(image, displacement, "cubic", "border"))
    np.testing.assert_allclose(moved, scipy_resample(image, clamped, 3, "mirror"), atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_catmull_rom_is_the_cubic_through_the_values_with_central_slopes(rng, numpy, shape):
    """Per axis: p(0) = f_0, p(1) = f_1, p'(0) = (f_1 - f_-1) / 2, p'(1) = (f_2 - f_0) / 2."""
    image, displacement = random_case(rng, shape)
    moved = numpy(ops.resample(image, displacement, "catmull-rom"))
    positions = np.moveaxis(np.indices(shape), 0, -1) + displacement
    for b, *where in [(0, *(0,) * len(shape)), (1, *(2,) * len(shape)), (1, 3, 1, 4)]:
        where = tuple(where)[: len(shape)]
        values = image[b, ..., 0].astype("float64")
        for position, size in zip(positions[(b, *where)], shape, strict=True):
            position = np.clip(position, 0, size - 1)
            lower = min(int(position), size - 2)
            before, at, after, beyond = (
                values[np.clip(lower + k, 0, size - 1)] for k in (-1, 0, 1, 2)
            )
            start, end = (after - before) / 2, (beyond - at) / 2
            conditions = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0], [0, 1, 2, 3]])
            ends = np.stack([at, after, start, end]).reshape(4, -1)
            powers = (position - lower) ** np.arange(4)
            values = (powers @ np.linalg.solve(conditions, ends)).reshape(values.shape[1:])
        np.testing.assert_allclose(moved[(b, *where)][0], values, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["cubic", "catmull-rom"])
@pytest.mark.parametrize("shape", [(1, 9), (4, 1, 5), (2, 3), (1, 1, 2)])
def test_cubic_kernels_on_the_smallest_axes(rng, numpy, interpolation, shape):
    image, displacement = random_case(rng, shape, channels=2, size=0.0)
    displacement += 0.0
    moved = numpy(ops.resample(image, displacement, interpolation))
    np.testing.assert_allclose(moved, image, atol=1e-5)
    flat = numpy(ops.resample(np.ones_like(image), displacement + 0.3, interpolation))
    np.testing.assert_allclose(flat, 1, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(
    shape=st.one_of(
        st.tuples(st.integers(2, 9), st.integers(2, 9)),
        st.tuples(st.integers(2, 6), st.integers(2, 6), st.integers(2, 6)),
    ),
    order=st.sampled_from([0, 1, 3]),
    seed=st.integers(0, 2**16),
)
def test_scipy_on_any_shape(shape, order, seed):
    """To 1e-4 of the image's range, as everybody who compares with SciPy would check."""
    rng = np.random.default_rng(seed)
    image, displacement = random_case(rng, shape, channels=1, batch=1)
    if order == 0:  # a half may go to either side
        grid = np.moveaxis(np.indices(shape), 0, -1)
        displacement += 0.02 * (np.abs((grid + displacement) % 1 - 0.5) < 0.01)
    name = {0: "nearest", 1: "linear", 3: "cubic"}[order]
    moved = keras.ops.convert_to_numpy(ops.resample(image, displacement, name, "constant", 2.0))
    expected = scipy_resample(image, displacement, order, "constant", 2.0)
    edge = np.moveaxis(np.indices(shape), 0, -1) + displacement
    # On the very border float32 and float64 may differ on what is outside.
    clear = (np.minimum(np.abs(edge), np.abs(edge - (np.array(shape) - 1))) > 1e-4).all(axis=-1)
    np.testing.assert_allclose(moved[clear], expected[clear], atol=1e-4 * np.ptp(image))


@settings(max_examples=10, deadline=None)
@given(permutation=st.permutations([0, 1, 2]), seed=st.integers(0, 2**16))
def test_axes_are_alike(permutation, seed):
    """Permuting the axes of image and displacement permutes the result."""
    rng = np.random.default_rng(seed)
    image, displacement = random_case(rng, (4, 6, 5), channels=2, batch=1)
    axes = [0, *(1 + p for p in permutation), 4]
    for interpolation in ("nearest", "linear", "cubic", "catmull-rom"):
        straight = keras.ops.convert_to_numpy(ops.resample(image, displacement, interpolation))
        turned = ops.resample(
            image.transpose(axes), displacement.transpose(axes)[..., permutation], interpolation
        )
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(turned), straight.transpose(axes), atol=2e-5
        )


def test_cubic_kernels_need_a_known_shape():
    image, displacement = keras.Input((None, 4, 1)), keras.Input((None, 4, 2))
    for interpolation in ("cubic", "catmull-rom"):
        with pytest.raises(ValueError, match="known spatial shape"):
            ops.resample(image, displacement, interpolation)


@pytest.mark.parametrize(
    "options",
    [{}, {"interpolation": "cubic"}, {"mode": "constant"}, {"interpolation": "nearest"}],
)
def test_an_image_that_is_data_gets_no_gradient(rng, numpy, options):
    image = keras.ops.convert_to_tensor(rng.random((1, 5, 6, 1)).astype("float32"))
    u = keras.ops.convert_to_tensor((0.4 * rng.normal(size=(1, 5, 6, 2))).astype("float32"))

    def of_image(flows):
        # Beside the warp a sum, whose gradient is 1 everywhere.
        def total(v):
            return ops.resample(v, u, image_gradient=flows, **options) + keras.ops.sum(v) / 30

        return numpy(ops.value_and_gradient(total, image)[1])

    np.testing.assert_allclose(of_image(False), 1, atol=1e-5)
    assert np.ptp(of_image(True)) > 0.5
    if options.get("interpolation") == "nearest":  # which has no gradient but that
        return
    found = [
        numpy(
            ops.value_and_gradient(
                lambda v, g=flows: ops.resample(image, v, image_gradient=g, **options), u
            )[1]
        )
        for flows in (True, False)
    ]
    np.testing.assert_array_equal(*found)
    assert np.abs(found[0]).max() > 0.1
