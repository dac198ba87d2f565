import itertools
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from tfreg.errors import InputError, InputWarning
from tfreg.serial import align, pyramid_for, sections_by
from tfreg.serial.align import STEP

SHIFTS = np.array([(0, 0), (5, -3), (-4, 6), (8, 2), (-6, -5), (1, 7)], float)


@pytest.fixture(scope="module")
def jumping():
    """One texture, each section of it shifted: ``section(x) = texture(x - shift)``."""
    texture = gaussian_filter(np.random.default_rng(1).normal(size=(80, 100)), 2.0)
    texture = np.rint(120 + 60 * texture / texture.std()).clip(0, 255)
    return [shift(texture, s, order=1, mode="nearest").astype("uint8") for s in SHIFTS]


def still(fixed, moving, **masks):
    return SimpleNamespace(displacement=np.zeros((*fixed.shape, 2)))


def settled(found):
    """The shifts of a stack's sections relative to their mean."""
    there = np.stack([found.displacement(k)[40, 50] for k in range(len(found))])
    return there - there.mean(axis=0)


def test_phase_correlation_puts_shifted_sections_onto_each_other(jumping):
    found = align(jumping, still, drift=None)
    np.testing.assert_allclose(settled(found), SHIFTS - SHIFTS.mean(axis=0), atol=0.4)
    moved = [found.apply(k, image)[15:-15, 15:-15].astype(float) for k, image in enumerate(jumping)]
    couples = itertools.pairwise(moved)
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in couples]
    assert min(alike) > 0.95 and found.apply(1, jumping[1]).dtype == np.uint8


def test_answers_of_pairs_are_composed_with_the_start(jumping):
    """Without a start all is in the pairs: here the true shifts, told by whom they are given."""

    def told(fixed, moving, **masks):
        one, other = (
            next(s for image, s in zip(jumping, SHIFTS, strict=True) if (image == part).all())
            for part in (fixed, moving)
        )
        return SimpleNamespace(displacement=np.ones((*fixed.shape, 2)) * (other - one))

    found = align(jumping, told, start="none", drift=None, neighbours=3)
    np.testing.assert_allclose(settled(found), SHIFTS - SHIFTS.mean(axis=0), atol=0.05)
    assert found.maps.shape == (6, 11, 14, 2) and found.step == STEP


def test_masks_tell_what_lies_outside_the_sections(jumping):
    asked = []

    def masked(fixed, moving, fixed_mask, moving_mask):
        asked.append((moving, moving_mask, fixed_mask))
        return still(fixed, moving)

    found = align(jumping[:3], masked, drift=None)
    for (moving, mask, _), k in zip(asked, (1, 2, 2), strict=True):
        where = np.moveaxis(np.indices(moving.shape), 0, -1) + found.displacement(k)
        outside = (where < -1e-6).any(axis=-1) | (where > np.array(moving.shape) - 1 + 1e-6).any(
            axis=-1
        )
        np.testing.assert_array_equal(mask == 0, outside)
        assert 0 < outside.mean() < 0.3
    asked.clear()
    align(jumping[:2], masked, drift=None, start="none")
    assert asked[0][1] is None and asked[0][2] is None


def test_a_model_gets_masks_where_it_sees_them():
    def register(fixed, moving, **masks):
        return masks

    for sees, expected in ((True, {"fixed_mask": 1, "moving_mask": 2}), (False, {})):
        found = sections_by(SimpleNamespace(sees_masks=sees, register=register))
        assert found(None, None, fixed_mask=1, moving_mask=2) == expected


def test_control_points_go_down_to_the_finest_that_is_asked_for():
    spacings = {
        finest: [level.grid_spacing for level in pyramid_for((512, 300), finest).levels]
        for finest in (128.0, 16.0)
    }
    assert spacings == {128.0: [128.0], 16.0: [128.0, 64.0, 32.0, 16.0]}
    assert [level.grid_spacing for level in pyramid_for((40, 50)).levels] == [16.0]
    with pytest.raises(InputError, match=r"finest must be one of \[128.0.*Received: finest=8"):
        pyramid_for((512, 512), 8.0)


def test_transforms_say_what_the_sections_show(jumping):
    found = align(jumping[:3], still, drift=None)
    transform = found.transform(1)
    point = np.array([[50.0, 40.0]])  # x, y
    expected = point + found.displacement(1)[40, 50][::-1]
    np.testing.assert_allclose(transform.apply_points(point), expected, atol=1e-6)


def test_an_interrupted_alignment_goes_on_where_it_was(jumping, tmp_path):
    calls = []

    def counted(fixed, moving, stop=None, **masks):
        if len(calls) == stop:
            raise KeyboardInterrupt
        calls.append(1)
        return still(fixed, moving)

    with pytest.raises(KeyboardInterrupt):
        align(jumping, partial(counted, stop=4), identity={}, folder=tmp_path, drift=None)
    (tmp_path / "pair-0000-0002.npz").write_bytes(b"half of it")
    lines = []
    settings = {"folder": tmp_path, "drift": None}
    found = align(jumping, counted, identity={}, progress=lines.append, **settings)
    assert len(calls) == 9 + 1  # every pair once, the damaged one twice
    assert len(lines) == 5 + 9 and lines[0] == "start of section 1 of 6"
    assert lines[5] == "section 1 onto 0 of 6"
    np.testing.assert_allclose(settled(found), settled(align(jumping, still, drift=None)))
    with pytest.raises(InputError, match="another start; choose another folder"):
        align(jumping, counted, identity={}, folder=tmp_path, start="none")
    # Without a word on what registers them, its name says so.
    for other, what in ((None, "register"), ({"model": "other"}, "model")):
        with pytest.raises(InputError, match=f"holds an alignment with another {what}"):
            align(jumping, partial(counted, stop=4), identity=other, folder=tmp_path)


def test_pairs_of_a_section_that_has_changed_are_registered_again(jumping, tmp_path):
    calls = []

    def counted(fixed, moving, **masks):
        calls.append((fixed.mean(), moving.mean()))
        return still(fixed, moving)

    settings = {"register": counted, "start": "none", "folder": tmp_path, "drift": None}
    align(jumping[:4], **settings)
    assert len(calls) == 5
    changed = [*jumping[:3], jumping[3][::-1].copy()]
    align(changed, **settings)
    assert len(calls) == 5 + 2  # onto sections 1 and 2
    align([*changed, jumping[5]], **settings)  # and what is added is added
    assert len(calls) == 7 + 2


def test_a_folder_that_is_damaged_or_cannot_be_written_is_refused(jumping, tmp_path):
    align(jumping[:2], still, folder=tmp_path / "a")
    for text in ("", "[]", "{"):
        (tmp_path / "a" / "settings.json").write_text(text)
        with pytest.raises(InputError, match=r"settings.json is damaged: delete the folder"):
            align(jumping[:2], still, folder=tmp_path / "a")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written to: .* is a file"):
        align(jumping[:2], still, folder=tmp_path / "file")
    # What is refused leaves nothing that stands in the way of what is right.
    with pytest.raises(InputError, match="one shape"):
        align([jumping[0], jumping[1][1:]], still, folder=tmp_path / "b", start="none")
    align(jumping[:2], still, folder=tmp_path / "b")


def test_a_frame_that_shows_too_little_of_a_section_is_told(rng):
    texture = gaussian_filter(rng.normal(size=(100, 400)), 2.0)

    def stack(step, count):
        return [texture[:, k * step : k * step + 80] for k in range(count)]

    with pytest.warns(InputWarning, match=r"the frame of the stack shows \d+% of section [04]$"):
        align(stack(12, 5), still, drift=None)
    with pytest.raises(InputError, match=r"take section \d+ out of the frame.*start='none'"):
        align(stack(12, 16), still, drift=None)


def test_no_more_sections_are_held_than_a_window(jumping):
    class Counted:
        read = 0

        def __len__(self):
            return len(jumping)

        def __getitem__(self, k):
            Counted.read += 1
            return jumping[k].copy()

    align(Counted(), still, neighbours=2, drift=None)
    assert Counted.read == 1 + 2 * len(jumping)  # its shape; the start; the pairs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sections": [np.eye(20)]}, "two sections or more. Received: 1"),
        ({"sections": [np.eye(20), np.ones((20, 20))]}, "no constant. Received: section 1 of 1 to"),
        ({"sections": [np.eye(20), np.eye(20) * np.nan]}, "finite.*section 1 of nan to nan"),
        ({"degrees": 5.0}, "no effect without start='rigid'. Received: degrees=5.0, start=trans"),
        ({"degrees": 200.0, "start": "rigid"}, "degrees must be above 0, up to 180"),
        ({"sections": [np.eye(20), np.eye(22)]}, r"one shape, \(20, 20\).*section 1 of \(22, 22\)"),
        ({"sections": np.zeros((3, 20, 20, 1))}, r"2-D. Received: shape=\(20, 20, 1\)"),
        ({"neighbours": 0}, "neighbours=0"),
        ({"start": "affine"}, "start=affine"),
        ({"drift": -1.0}, "drift must be positive, or None"),
        ({"drift": float("inf")}, "drift must be positive, or None. Received: drift=inf"),
    ],
)
def test_bad_input_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        align(**{"sections": [np.eye(20), np.eye(20)], "register": still, **changes})
