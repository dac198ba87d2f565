import numpy as np
import pytest

from tfreg.data import tissue


@pytest.fixture(scope="module")
def piece():
    return tissue.block(9, (96, 128), seed=2)


def test_a_seed_is_a_piece_of_tissue(piece):
    again = tissue.block(4, (96, 128), seed=2)
    np.testing.assert_array_equal(again.images, piece.images[:4])
    np.testing.assert_array_equal(again.labels, piece.labels[:4])
    assert (tissue.block(1, (96, 128), seed=3).images[0] != piece.images[0]).mean() > 0.5


def test_membranes_are_dark_and_cells_are_not(piece):
    membrane = piece.labels == 0
    assert 0.05 < membrane.mean() < 0.3
    assert piece.images[membrane].mean() < 80 < 140 < piece.images[~membrane].mean()


def test_neighbours_are_alike_and_others_less(piece):
    def alike(step):
        pairs = zip(piece.images[:-step], piece.images[step:], strict=True)
        return np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs])

    values = [alike(step) for step in (1, 3, 7)]
    assert 0.5 < values[0] < 0.95 and values[0] > values[1] + 0.1 > values[2] + 0.1
    same = piece.labels[0] == piece.labels[1]
    assert same.mean() > 0.75


@pytest.mark.parametrize(
    ("count", "size", "message"),
    [(0, (32, 32), "count=0"), (2, (32, 8), r"size=\(32, 8\)"), (2, (32,), r"size=\(32,\)")],
)
def test_what_cannot_be_drawn_is_refused(count, size, message):
    with pytest.raises(ValueError, match=message):
        tissue.block(count, size)
