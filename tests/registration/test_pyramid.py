from dataclasses import replace

import numpy as np
import pytest

from tfreg.errors import InputError
from tfreg.registration import SETTINGS, Level, Pyramid, pyramid
from tfreg.registration.instance.pyramid import refining


def test_levels_go_from_coarse_to_fine_and_towards_isotropic_voxels():
    levels = pyramid("default", "affine", (40, 160, 160), (4.0, 1.0, 1.0)).levels
    assert [level.shrink for level in levels] == [(1, 4, 4), (1, 2, 2), (1, 1, 1)]
    assert all(level.grid_spacing is None and level.weight == 0 for level in levels)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("transform", ["rigid", "bspline", "dense", "velocity", "lddmm"])
@pytest.mark.parametrize("shape", [(9, 12), (28, 28), (300, 200), (8, 9, 10), (96, 90, 100)])
def test_no_level_is_too_small(setting, transform, shape):
    levels = pyramid(setting, transform, shape, (1.0,) * len(shape)).levels
    for level in levels:
        small = np.ceil(np.array(shape) / level.shrink)
        assert small.min() >= min(24, min(shape))
    assert levels[-1].shrink == (1,) * len(shape)


def test_large_volumes_have_more_levels_and_their_fast_ones_do_without_the_finest():
    finest = {
        (setting, kind): pyramid(setting, kind, (160, 160, 160), (1.0,) * 3).levels[-1].shrink
        for setting in ("fast", "default")
        for kind in ("bspline", "affine")
    }
    assert finest["default", "bspline"] == (1, 1, 1)
    assert {v for k, v in finest.items() if k != ("default", "bspline")} == {(2, 2, 2)}
    sizes = [len(pyramid("default", "bspline", (n,) * 3, (1.0,) * 3).levels) for n in (32, 256)]
    assert sizes == [1, 4]


def test_grid_spacing_is_in_the_unit_of_the_spacing():
    one, half = (pyramid("fast", "bspline", (128, 128), (s, s)).levels[-1] for s in (1.0, 0.5))
    assert one.grid_spacing == 2 * half.grid_spacing


@pytest.mark.parametrize(
    "options",
    [
        {"shrink": 0},
        {"shrink": (1, 1.5)},
        {"shrink": True},
        {"shrink": [1, 2]},
        {"learning_rate": None},
        {"smoothing": -1},
        {"grid_spacing": 0},
        {"steps": -1},
        {"steps": 2.5},
        {"steps": float("nan")},
        {"steps": None},
        {"smoothing": None},
        {"decay": float("nan")},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"weight": -0.1},
        {"optimiser": "newton"},
    ],
)
def test_a_bad_level_is_named(options):
    with pytest.raises(InputError, match=next(iter(options))):
        Level(**options)


@pytest.mark.parametrize(
    "options",
    [{"levels": ()}, {"levels": ("fast",)}, {"tolerance": -1}, {"tolerance": None}],
)
def test_a_bad_pyramid_is_named(options):
    with pytest.raises(InputError, match=next(iter(options))):
        Pyramid(**{"levels": (Level(),), **options})


def test_settings_can_be_changed():
    found = pyramid("fast", "bspline", (64, 64), (1.0, 1.0))
    longer = replace(found.levels[-1], steps=7)
    assert replace(found, levels=(longer,)).levels[0].steps == 7
    with pytest.raises(InputError, match="b-spline"):
        pyramid("fast", "b-spline", (64, 64), (1.0, 1.0))
    with pytest.raises(InputError, match="quick"):
        pyramid("quick", "bspline", (64, 64), (1.0, 1.0))
    for spacing in ((0.0, 1.0), (1.0,), (1.0, float("nan"))):
        with pytest.raises(InputError, match="2 positive numbers"):
            pyramid("fast", "bspline", (64, 64), spacing)


def test_a_refinement_is_the_finest_level_with_more_weight_on_smoothness():
    whole = pyramid("default", "bspline", (128, 128), (1, 1))
    settings = {name: refining(name, (128, 128)) for name in ("fast", "default", "accurate")}
    assert len(whole.levels) == 2
    for name, steps in (("fast", 30), ("default", 60), ("accurate", 120)):
        expected = replace(whole.levels[-1], steps=steps, weight=0.3, learning_rate=0.5)
        assert settings[name].levels == (expected,)
    fine = settings["fast"]
    assert fine.levels[0].shrink == (1, 1) and fine.levels[0].grid_spacing == 4
    with pytest.raises(InputError, match="slow"):
        refining("slow", (128, 128))


def test_the_refinement_of_a_volume_starts_a_level_further_up_and_spares_the_finest():
    small, large = (48, 64, 48), (112, 128, 128)
    for name, steps, finest in (("fast", 30, 30), ("default", 60, 20), ("accurate", 120, 60)):
        assert [level.steps for level in refining(name, small).levels] == [steps] * 2
        levels = refining(name, large).levels
        assert [level.steps for level in levels] == [steps, finest]
        # As in the pyramid from nothing, "fast" leaves the finest level of a large volume out.
        assert levels[-1].shrink == ((2, 2, 2) if name == "fast" else (1, 1, 1))
        # A large image has this one level, which is not cut short.
        assert refining(name, (1200, 1000)).levels[-1].steps == steps
