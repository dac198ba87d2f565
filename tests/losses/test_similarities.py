"""What holds for every similarity: masks, constants, gradients, dtypes and the boundary."""

import keras
import numpy as np
import pytest

from tfreg import losses, ops

SIMILARITIES = {
    "ncc": losses.ncc,
    "mse": losses.mse,
    "lncc": lambda f, m, mask=None: losses.lncc(f, m, window=3, mask=mask),
    "mi": lambda f, m, mask=None: losses.mutual_information(f, m, bins=9, mask=mask),
    "mi_range": lambda f, m, mask=None: losses.mutual_information(
        f, m, bins=12, fixed_range=(-1, 2), moved_range=(-1, 1.5), mask=mask
    ),
    "ngf": lambda f, m, mask=None: losses.ngf(f, m, mask=mask),
    "ngf_eta": lambda f, m, mask=None: losses.ngf(f, m, (0.3, 0.5), 1.5, mask),
    "soft_dice": losses.soft_dice,
}
SHAPES = [(2, 7, 5, 1), (1, 4, 6, 5, 1)]

similarities = pytest.mark.parametrize("name", sorted(SIMILARITIES))
shapes = pytest.mark.parametrize("shape", SHAPES)


def pair(rng, shape, dtype="float32"):
    """Intensities in [0, 1], correlated, so that the soft Dice makes sense as well."""
    fixed, noise = rng.uniform(size=(2, *shape))
    return fixed.astype(dtype), (0.6 * fixed + 0.4 * noise).astype(dtype)


def some_mask(rng, shape):
    mask = rng.uniform(0.5, 1, size=(*shape[:-1], 1))
    mask[:, :2] = 0
    mask[..., -1, :] = 0
    return mask


@similarities
@shapes
def test_a_mask_of_ones_is_none(rng, numpy, name, shape):
    function, (fixed, moved) = SIMILARITIES[name], pair(rng, shape)
    ones = np.ones((*shape[:-1], 1), "float32")
    expected = numpy(function(fixed, moved))
    assert expected.shape == (shape[0],) and expected.dtype == np.float32
    for mask in (ones, 3 * ones, ones.astype(bool)):
        np.testing.assert_allclose(numpy(function(fixed, moved, mask)), expected, atol=2e-6)


@similarities
@shapes
def test_what_is_masked_out_has_no_influence(rng, numpy, name, shape):
    function, (fixed, moved) = SIMILARITIES[name], pair(rng, shape)
    mask = some_mask(rng, shape).astype("float32")
    tensor = keras.ops.convert_to_tensor(moved)
    value, gradient = ops.value_and_gradient(lambda m: function(fixed, m, mask), tensor)
    assert np.abs(numpy(gradient)).max() > 1e-5
    assert (numpy(gradient)[mask == 0] == 0).all()
    for replacement in (-1e4, np.nan, np.inf):
        other_fixed = np.where(mask > 0, fixed, np.float32(replacement))
        other = keras.ops.convert_to_tensor(np.where(mask > 0, moved, np.float32(replacement)))
        found = ops.value_and_gradient(lambda m, f=other_fixed: function(f, m, mask), other)
        np.testing.assert_array_equal(numpy(found[0]), numpy(value))
        np.testing.assert_array_equal(numpy(found[1]), numpy(gradient))


@similarities
def test_an_empty_mask_gives_zero_with_a_zero_gradient(rng, numpy, name):
    function, (fixed, moved) = SIMILARITIES[name], pair(rng, SHAPES[0])
    mask = np.ones_like(fixed)
    mask[1] = 0
    tensor = keras.ops.convert_to_tensor(moved)
    value, gradient = ops.value_and_gradient(lambda m: function(fixed, m, mask), tensor)
    assert numpy(value)[1] == 0 and (numpy(gradient)[1] == 0).all()
    np.testing.assert_allclose(numpy(value)[:1], numpy(function(fixed, moved))[:1], atol=1e-6)
    assert np.isfinite(numpy(gradient)).all()


@similarities
@shapes
@pytest.mark.parametrize("masked", [False, True])
def test_gradients(rng, check_gradient, name, shape, masked):
    fixed, moved = pair(rng, shape, "float64")
    fixed = keras.ops.convert_to_tensor(fixed, "float64")
    mask = some_mask(rng, shape) if masked else None
    found = check_gradient(lambda m: SIMILARITIES[name](fixed, m, mask), moved)
    assert np.abs(found).max() > 1e-4


@similarities
@pytest.mark.parametrize("value", [0.0, 1.0, 1000.3, -7e4])
@pytest.mark.parametrize("masked", [False, True])
def test_constants_are_finite(rng, numpy, name, value, masked):
    shape = SHAPES[0]
    varied, constant = pair(rng, shape)[0], np.full(shape, value, "float32")
    mask = some_mask(rng, shape).astype("float32") if masked else None
    for fixed in (varied, constant):
        tensor = keras.ops.convert_to_tensor(constant)
        values, gradient = ops.value_and_gradient(
            lambda m, f=fixed: SIMILARITIES[name](f, m, mask), tensor
        )
        assert np.isfinite(numpy(values)).all() and np.isfinite(numpy(gradient)).all()
        if name in ("ncc", "lncc", "mi"):
            np.testing.assert_allclose(numpy(values), 0, atol=1e-6)
        if name in ("ngf", "ngf_eta"):
            np.testing.assert_allclose(numpy(values), 1, atol=1e-6)
        if name in ("ncc", "lncc", "ngf", "mi"):
            assert (numpy(gradient) == 0).all()


@similarities
def test_half_precision_is_computed_in_float32(rng, numpy, name):
    fixed, moved = pair(rng, SHAPES[0])
    if name != "soft_dice":
        fixed, moved = 1000 + 20 * fixed, 1000 + 20 * moved
    fixed, moved = fixed.astype("float16"), moved.astype("float16")
    found = numpy(SIMILARITIES[name](fixed, moved))
    assert found.dtype == np.float32
    expected = numpy(SIMILARITIES[name](fixed.astype("float32"), moved.astype("float32")))
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(found).all()


@similarities
def test_bad_input_is_named(rng, name):
    function, image = SIMILARITIES[name], np.zeros((2, 6, 5, 1), "float32")
    with pytest.raises(ValueError, match=r"same shape.*Received: fixed.shape=\(2, 6, 5, 1\), mov"):
        function(image, image[:, :5])
    with pytest.raises(ValueError, match=r"Received: fixed.shape=\(6, 5, 1\)"):
        function(image[0], image[0])
    for mask in (image[0], image[:1], np.zeros((2, 6, 5, 2))):
        with pytest.raises(ValueError, match=r"mask must be .*Received: mask.shape="):
            function(image, image, mask)


def test_float64_and_float32_meet_in_float64(rng, numpy):
    fixed, moved = pair(rng, (1, 5, 6, 1))
    if keras.backend.standardize_dtype(keras.ops.convert_to_tensor(0.5, "float64").dtype) != (
        "float64"
    ):
        pytest.skip("float64 is switched off on this backend")
    moved = keras.ops.convert_to_tensor(moved, "float64")
    assert numpy(losses.mse(fixed, moved)).dtype == np.float64


@pytest.mark.parametrize(
    ("loss", "function"),
    [
        (losses.NCC(), lambda f, m: -losses.ncc(f, m)),
        (losses.LNCC(window=[3, 5]), lambda f, m: -losses.lncc(f, m, window=(3, 5))),
        (losses.LNCC(window=3), lambda f, m: -losses.lncc(f, m, window=3)),
        (
            losses.MutualInformation(bins=8, moved_range=(0.0, 1.0)),
            lambda f, m: -losses.mutual_information(f, m, bins=8, moved_range=(0, 1)),
        ),
        (losses.NGF(eta=0.2, spacing=(1.0, 3.0)), lambda f, m: losses.ngf(f, m, 0.2, (1, 3))),
        (losses.NGF(), losses.ngf),
        (losses.SoftDice(), lambda f, m: 1 - losses.soft_dice(f, m)),
    ],
)
def test_losses_average_the_batch_and_survive_serialisation(rng, numpy, loss, function):
    fixed, moved = pair(rng, SHAPES[0])
    values = numpy(function(fixed, moved))
    assert float(loss(fixed, moved)) == pytest.approx(values.mean(), abs=1e-6)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss) and again.get_config() == loss.get_config()
    assert float(again(fixed, moved)) == float(loss(fixed, moved))
    # Registration improves: the pair in register costs less.
    assert float(loss(fixed, fixed)) < float(loss(fixed, moved[:, ::-1]))


def test_mse_equals_numpy(rng, numpy):
    fixed, moved = rng.normal(size=(2, 2, 4, 5, 6, 3)).astype("float32")
    weights = rng.uniform(size=(2, 4, 5, 6, 1)).astype("float32")
    expected = [
        np.average((f - m) ** 2, weights=np.broadcast_to(w, f.shape))
        for f, m, w in zip(fixed, moved, weights, strict=True)
    ]
    np.testing.assert_allclose(numpy(losses.mse(fixed, moved, weights)), expected, rtol=1e-5)
    expected = ((fixed - moved) ** 2).mean(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(numpy(losses.mse(fixed, moved)), expected, rtol=1e-5)
