import numpy as np
import pytest
from scipy import ndimage

from tfreg.errors import InputWarning
from tfreg.registration import Level, Pyramid, register

SHORT = Pyramid((Level(grid_spacing=8, steps=3),))


@pytest.fixture(scope="module")
def scene():
    values = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal((64, 72)), 3)
    return (values - values.min()) / np.ptp(values)


@pytest.mark.parametrize("similarity", ["ncc", "lncc"])
@pytest.mark.parametrize(
    ("change", "word"),
    [(lambda v: 1 - v, "inverted"), (lambda v: np.abs(v - np.median(v)), "remapped")],
)
def test_a_contrast_that_no_line_explains_is_named(scene, change, word, similarity):
    moving = ndimage.shift(scene, (1, -1.5), order=1, mode="nearest")
    with pytest.warns(InputWarning, match=f"{word}.* 'mi' or 'ngf'"):
        answer = register(change(scene), moving, pyramid=SHORT, similarity=similarity)
    assert word in answer.remarks[0] and any(word in line for line in answer.check().problems)


def test_noise_has_no_structure_in_common_and_a_pair_is_named_in_its_batch(rng, scene):
    pairs = np.stack([rng.random((64, 72)), scene]), np.stack([rng.random((64, 72)), scene])
    with pytest.warns(InputWarning, match=r"no structure in common.*\(pair 0\)"):
        answer = register(*pairs, pyramid=SHORT, ndim=2)
    assert answer.remarks[1] == "" and len(answer.warnings) == 1
    assert answer.item(0).warnings and not answer.item(1).warnings


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("similarity", ["ncc", "lncc", "mi"])
def test_hearts_and_modalities_are_not(hearts, similarity):
    moving = 1 - hearts.moving if similarity == "mi" else hearts.moving
    answer = register(hearts.fixed, moving, pyramid=SHORT, similarity=similarity, ndim=2)
    assert answer.warnings == ()


def test_padding_does_not_make_unlike_images_alike(rng, scene):
    fixed, moving = (
        np.pad(scene[part] + 1, ((16, 16), (20, 8))) for part in (np.s_[:32, :44], np.s_[32:, 28:])
    )
    with pytest.warns(InputWarning, match="beside their padding remains unlike"):
        answer = register(fixed, moving, pyramid=SHORT)
    assert answer.similarity_after > 0.8
    same = np.pad(np.roll(scene, 1, axis=1)[:32, :44] + 1, ((16, 16), (20, 8)))
    assert register(fixed, same, pyramid=SHORT).warnings == ()
