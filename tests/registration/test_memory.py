import json
from pathlib import Path

import numpy as np
import pytest

from tfreg.errors import InputError
from tfreg.registration import Level, Pyramid, pyramid, register
from tfreg.registration.instance import memory

GROWTH = Path(__file__).parents[2] / "benchmarks" / "results" / "optimise-growth" / "table.json"


def test_more_memory_than_there_is(hearts, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1_000_000)
    with pytest.raises(InputError, match="needs about"):
        register(hearts.fixed, hearts.moving, ndim=2)


def estimated(shape, moving_shape, kinds, similarity, batch=1):
    images = {
        name: np.broadcast_to(np.float32(0), (batch, *size, 1))
        for name, size in (("fixed", shape), ("moving", moving_shape))
    }
    pyramids = [pyramid("default", kind, shape, (1.0,) * len(shape)) for kind in kinds]
    return memory.estimate(images, kinds, pyramids, similarity)


def test_the_estimate_covers_what_was_measured_and_not_ten_times_that():
    rows = json.loads(GROWTH.read_text())["rows"]
    peaks = {(r["method"], r["group"]): r["median"] for r in rows if r["metric"] == "peak"}
    assert len(peaks) > 10
    for (method, group), peak in peaks.items():
        kind, _, similarity = method.partition(" ")
        shape = (int(group.removesuffix("^3")),) * 3
        needed = estimated(shape, shape, (kind,), similarity.lower() or "ncc") / 2**30
        assert peak < needed < 0.5 + 10 * peak, (method, group)


def test_the_estimate_grows_with_pairs_stages_and_the_larger_image():
    small, large = (64, 64, 64), (96, 96, 96)
    one = estimated(small, small, ("bspline",), "ncc")
    assert estimated(small, large, ("bspline",), "ncc") > one
    assert estimated(small, small, ("bspline",), "ncc", batch=8) > one
    assert estimated(small, small, ("bspline",), "lncc") > one
    several = ("translation", "rigid", "affine", "bspline")
    assert estimated(small, small, several, "ncc") > one


def test_a_process_that_may_not_compile_once_more_says_so(monkeypatch):
    """Where the system ends it, nothing would be said."""
    image = np.random.default_rng(0).random((31, 29)).astype("float32")  # a size of its own
    monkeypatch.setattr(memory, "maps", lambda: (58_000, 65_530))
    with pytest.raises(InputError, match="58000 regions of memory of 65530"):
        register(image, image, "translation", pyramid=Pyramid((Level(steps=1),)))
    monkeypatch.setattr(memory, "maps", lambda: (57_000, 65_530))
    found = register(image, image, "translation", pyramid=Pyramid((Level(steps=1),)))
    monkeypatch.setattr(memory, "maps", lambda: (65_000, 65_530))  # what is compiled runs on
    again = register(image, image, "translation", pyramid=Pyramid((Level(steps=1),)))
    np.testing.assert_array_equal(found.displacement, again.displacement)
