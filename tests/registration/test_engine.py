from dataclasses import replace

import numpy as np
import pytest

from tfreg.registration import Level, Pyramid, forget, register
from tfreg.registration.instance import level


@pytest.mark.on_jax
def test_alone_and_in_a_batch_repeated_to_the_bit_and_compiled_once(
    hearts, monkeypatch, two_levels
):
    forget()
    batch = register(hearts.fixed, hearts.moving, pyramid=two_levels, ndim=2)
    traced, similarity = [], level.similarity
    monkeypatch.setattr(level, "similarity", lambda *a: traced.append(a) or similarity(*a))
    again = register(hearts.fixed, hearts.moving, pyramid=two_levels, ndim=2)
    np.testing.assert_array_equal(batch.displacement, again.displacement)
    assert batch.compile_seconds > 0 and again.compile_seconds == 0 and not traced
    single = register(hearts.fixed[1], hearts.moving[1], pyramid=two_levels)
    assert single.displacement.shape == (64, 64, 2) and isinstance(single.accepted, bool)
    np.testing.assert_allclose(single.displacement, batch.displacement[1], atol=0.02)
    levels = (replace(one, steps=5, learning_rate=0.2, weight=0.5) for one in two_levels.levels)
    other = Pyramid(tuple(levels))
    assert register(hearts.fixed[1], hearts.moving[1], pyramid=other).compile_seconds == 0


def test_a_plateau_ends_a_level_and_progress_is_reported(hearts):
    seen = []
    patience = Level(grid_spacing=8, steps=500)
    patient = register(
        *(hearts.fixed, hearts.moving),
        pyramid=Pyramid((patience,), tolerance=1e-3),
        ndim=2,
        progress=seen.append,
    )
    (report,) = seen
    assert report is patient.levels[0] and report.shape == (64, 64)
    assert (report.steps >= 19).all() and (report.steps < 200).all()
    assert (report.loss_after < report.loss_before).all() and report.seconds > 0
    hasty = register(hearts.fixed[0], hearts.moving[0], pyramid=Pyramid((patience,), tolerance=9.0))
    assert hasty.levels[0].steps.tolist() == [19]
    assert "bspline 64x64" in str(report)


def test_what_is_forgotten_is_compiled_again(hearts):
    pair = hearts.fixed[0][:40, :36], hearts.moving[0][:40, :36]
    one = Pyramid((Level(grid_spacing=8, steps=2),))
    assert register(*pair, pyramid=one).compile_seconds > 0
    assert register(*pair, pyramid=one).compile_seconds == 0
    forget()
    assert register(*pair, pyramid=one).compile_seconds > 0


@pytest.mark.long
def test_a_transform_that_made_it_worse_is_left_out_and_the_answer_says_so(rng):
    noise = rng.random((32, 32)).astype("float32")
    moving = np.roll(noise, 1, axis=1)
    shift = Pyramid((Level(steps=40, learning_rate=0.3),))
    coarse = Pyramid((Level(shrink=4, grid_spacing=8, steps=30, weight=0.0),))
    start = np.array([[1.0, 0, 0], [0, 1, 0.6]])
    options = {"start": start}
    alone = register(noise, moving, "translation", pyramid=shift, **options)
    both = register(noise, moving, ["translation", "bspline"], pyramid=[shift, coarse], **options)
    assert alone.accepted and alone.similarity_after > 0.95
    assert not both.accepted and "left out" in str(both.check())
    np.testing.assert_allclose(both.displacement, alone.displacement, atol=1e-5)
    assert both.similarity_after == pytest.approx(alone.similarity_after, abs=1e-5)


@pytest.mark.long
def test_samples_do_not_compile_anew_for_every_mask_and_starve_no_pair(hearts, two_levels):
    first, second = np.zeros((2, 64, 64))
    first[8:20, 8:20], second[30:58, 20:44] = 1, 1
    batch = register(
        *(hearts.fixed[:2], hearts.moving[:2]),
        pyramid=two_levels,
        samples=400,
        fixed_mask=np.stack([first, second]),
        ndim=2,
    )
    assert batch.accepted.all()
    for index, mask in enumerate((first, second)):
        pair = hearts.fixed[index], hearts.moving[index]
        alone = register(*pair, pyramid=two_levels, samples=400, fixed_mask=mask)
        np.testing.assert_allclose(alone.displacement, batch.displacement[index], atol=0.05)
    assert alone.compile_seconds == 0  # another mask, with fewer voxels than samples or with more
