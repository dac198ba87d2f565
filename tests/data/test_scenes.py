import numpy as np

from tfreg.data.distortions import distort
from tfreg.data.scenes import addition, cluttered, draw_places


def test_places_are_all_that_there_are():
    places = draw_places(20_000, 50, np.random.default_rng(0))
    for values, last in zip(places, (32, 49, 22, 54), strict=True):
        assert values.min() == 0 and values.max() == last
    assert places.source.shape == (20_000, 6) and places.cut.shape == (20_000, 6, 2)


def test_clutter_piece_by_piece(rng):
    sources = rng.integers(256, size=(9, 28, 28)).astype("uint8")
    images, places = sources[:4], draw_places(4, 9, np.random.default_rng(2))
    found = cluttered(images, sources, places)
    assert found.dtype == np.float32
    for n in range(4):
        canvas = np.zeros((60, 60))
        top, left = places.digit[n]
        canvas[top : top + 28, left : left + 28] = images[n]
        for k in range(6):
            (a, b), (i, j) = places.cut[n, k], places.paste[n, k]
            piece = sources[places.source[n, k], a : a + 6, b : b + 6]
            part = canvas[i : i + 6, j : j + 6]
            canvas[i : i + 6, j : j + 6] = np.maximum(part, piece)
        np.testing.assert_array_equal(found[n], canvas)


def test_terms_are_distorted_each_for_itself(rng):
    first, second = rng.random((2, 3, 28, 28))
    found = addition(first, second, np.random.default_rng(4))
    stream = np.random.default_rng(4)
    for channel, images in enumerate((first, second)):
        np.testing.assert_array_equal(found[..., channel], distort(images, "rts", stream))
