import numpy as np
import pytest

from tfreg.errors import InputError
from tfreg.registration import Level, Pyramid, register

IMAGE = np.arange(400.0).reshape(20, 20)
THIN = np.arange(336.0).reshape(2, 12, 14)
MASKED = np.ma.masked_less(IMAGE, 10)
LEFT = (np.arange(20) < 9) * np.ones((20, 1))


def test_starts(hearts, one_level):
    pair = hearts.fixed[0], hearts.moving[0]
    nothing = Pyramid((Level(grid_spacing=8, steps=0),))
    shift = np.array([[1.0, 0, 1.5], [0, 1, -0.5]])
    by_matrix = register(*pair, pyramid=nothing, start=shift)
    np.testing.assert_allclose(by_matrix.displacement, np.full((64, 64, 2), (1.5, -0.5)), atol=1e-5)
    by_field = register(*pair, pyramid=nothing, start=by_matrix.displacement)
    np.testing.assert_allclose(by_field.displacement, by_matrix.displacement, atol=1e-6)
    by_answer = register(*pair, pyramid=nothing, start=by_matrix)
    np.testing.assert_allclose(by_answer.displacement, by_matrix.displacement, atol=1e-6)
    assert by_answer.similarity_before == by_answer.similarity_after
    good = register(*pair, pyramid=one_level)
    better = register(*pair, pyramid=one_level, start=good)
    assert better.similarity_before == pytest.approx(good.similarity_after, abs=1e-5)
    assert better.similarity_after >= better.similarity_before


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones((20, 20)), IMAGE), {}, "fixed must not be constant"),
        ((IMAGE, np.zeros((20, 20))), {}, "moving must not be constant"),
        ((IMAGE, IMAGE * np.nan), {}, "finite"),
        ((IMAGE, IMAGE), {"fixed_mask": np.zeros((20, 20))}, "fixed_mask holds no voxel"),
        ((IMAGE, IMAGE), {"fixed_mask": np.ones((20, 19))}, "fixed_mask must have the shape"),
        ((IMAGE, IMAGE), {"moving_mask": -np.ones((20, 20))}, "moving_mask must be 0 or more"),
        ((IMAGE, IMAGE), {"fixed_mask": (IMAGE == 7) * 1.0}, "constant within its mask"),
        ((IMAGE, IMAGE), {"start": np.array([[1, 0, 90.0], [0, 1, 0]])}, "must overlap"),
        ((IMAGE, IMAGE), {"start": np.zeros((20, 20))}, "start must be"),
        ((IMAGE, IMAGE), {"start": np.full((20, 20, 2), np.nan)}, "start must hold finite"),
        ((IMAGE, IMAGE), {"transform": "elastic"}, "elastic"),
        ((IMAGE, IMAGE), {"transform": []}, "transform"),
        ((IMAGE, IMAGE), {"similarity": "ssd"}, "ssd"),
        ((IMAGE, IMAGE), {"regulariser": "tv"}, "tv"),
        ((IMAGE, IMAGE), {"pyramid": "slow"}, "slow"),
        ((IMAGE, IMAGE), {"pyramid": ["fast", "fast"]}, "one per transform"),
        ((IMAGE, IMAGE), {"pyramid": Pyramid((Level(shrink=8),))}, "4 voxels or more"),
        ((THIN[:1], THIN[:1]), {}, r"a single slice must be a 2-D image.*\(1, 12, 14\)"),
        ((THIN, THIN), {"transform": "dense"}, r"or 3 if these are all.*\(2, 12, 14\)"),
        ((THIN, THIN), {"pyramid": Pyramid((Level(shrink=2),))}, r"or 2 if .*\(2, 12, 14\)"),
        ((IMAGE, IMAGE), {"pyramid": Pyramid((Level(shrink=3), Level(shrink=2)))}, "divide"),
        ((IMAGE, IMAGE), {"pyramid": Pyramid((Level(shrink=(1, 1, 1)),))}, "2 factors"),
        ((IMAGE, IMAGE), {"spacing": (1.0, 0.0)}, "spacing"),
        ((IMAGE, IMAGE), {"spacing": (1.0, 1.0, 1.0)}, "spacing must be 2"),
        ((IMAGE, IMAGE), {"spacing": 1.5}, "spacing must be 2"),
        ((IMAGE, IMAGE), {"spacing": (1.0,)}, "spacing must be 2"),
        ((IMAGE, IMAGE), {"spacing": "mm"}, "spacing must be 2"),
        ((IMAGE, IMAGE), {"start": "centre"}, "start must be"),
        ((IMAGE, IMAGE), {"similarity": ["ncc"]}, "similarity must be"),
        ((IMAGE, IMAGE), {"progress": True}, "progress"),
        ((IMAGE, IMAGE), {"transform": 3}, "transform"),
        ((IMAGE, IMAGE), {"pyramid": Level()}, "pyramid must be one of"),
        ((IMAGE, IMAGE), {"samples": 3}, "samples"),
        ((IMAGE, IMAGE), {"samples": float("nan")}, "samples"),
        ((IMAGE, IMAGE), {"samples": 50, "seed": -1}, "seed"),
        ((IMAGE, IMAGE), {"fixed_mask": LEFT, "moving_mask": 1 - LEFT}, "must overlap"),
        ((IMAGE, IMAGE), {"samples": 50, "similarity": "lncc"}, "from samples"),
        ((IMAGE[0], IMAGE[0]), {}, "2-D or 3-D"),
        ((np.zeros((2, 3, 8, 8)), np.zeros((2, 3, 8, 8))), {}, "ndim"),
        ((np.stack([IMAGE] * 2), np.stack([IMAGE] * 3)), {"ndim": 2}, "one length"),
        ((np.stack([IMAGE] * 2),) * 2, {"spacing": (1.0, 1.0)}, "needs ndim"),
        ((MASKED, IMAGE), {}, "fixed must be a plain array.*10 masked values of 400"),
        ((IMAGE, IMAGE), {"moving_mask": MASKED}, "moving_mask must be a plain array"),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    with pytest.raises(InputError, match=message):
        register(*arguments, **options)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float64"])
def test_images_of_any_type(hearts, dtype, one_level):
    scale = 200 if "int" in dtype else 1
    fixed, moving = ((scale * side[0]).astype(dtype) for side in (hearts.fixed, hearts.moving))
    expected = register(hearts.fixed[0], hearts.moving[0], pyramid=one_level)
    answer = register(fixed, moving, pyramid=one_level)
    np.testing.assert_allclose(answer.displacement, expected.displacement, atol=0.3)
    assert answer.moved.dtype == np.float32 and answer.moved.max() == pytest.approx(
        moving.max(), rel=0.1
    )
