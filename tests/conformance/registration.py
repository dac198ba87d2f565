"""What presets that register must fulfil."""

import keras
import numpy as np
import pytest

from conformance import common


def check_answer(case):
    """Shapes and types of an answer, alone and in a batch; the network itself is differentiable."""
    model, example = case.load(), case.example()
    fixed, moving = example["fixed"], example["moving"]
    answer = model.register(fixed, moving)
    assert answer.displacement.shape == (*fixed.shape, model.ndim)
    assert answer.displacement.dtype == answer.moved.dtype == np.float32
    assert answer.moved.shape == fixed.shape and np.isfinite(answer.displacement).all()
    batch = np.stack([moving, fixed])[..., None]
    both = model.register(batch, batch[::-1])
    # Where an optimiser takes hard decisions, rounding may change one: an example says how far off.
    atol = example.get("tolerance", 2e-3)
    np.testing.assert_allclose(both.displacement[1], answer.displacement, atol=atol)
    assert both.similarity_after.shape == (2,)


def check_bfloat16(case):
    """With half of the bits in its layers, coordinates keep all, and nearly their values."""
    half, model, example = common.in_bfloat16(case), case.load(), case.example()
    units = {name: model.prepared(example[name], name) for name in ("fixed", "moving")}
    found, expected = (net(units)["displacement"] for net in (half, model))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    found, expected = (keras.ops.convert_to_numpy(field) for field in (found, expected))
    moved = np.sqrt((expected**2).mean())
    assert np.sqrt(((found - expected) ** 2).mean()) < 0.2 * moved + 0.05


def check_refusals(case):
    """Bad images, in one line."""
    model, example = case.load(), case.example()
    example = {name: example[name] for name in ("fixed", "moving")}
    for image in example:
        common.check_refusals(model, example, image)
    if not model.sizes_may_differ:
        other = {**example, "moving": example["moving"][1:]}
        common.refused(model.register, "one shape", other)


def answered(case):
    """NCC after registration and the displacement at some voxels, alone and refined."""
    model, example = case.load(), case.example()
    found = {}
    for refine in example["refine"]:
        answer = model.register(example["fixed"], example["moving"], refine=refine)
        places = [answer.displacement[place].tolist() for place in example["places"]]
        found[f"refine {refine}"] = {"ncc": answer.similarity_after, "displacement": places}
    return found


def check_golden(case, found):
    """It answers what it answered when it was recorded."""
    golden, hard = case.golden, case.example().get("tolerance")
    ncc, places = (2e-3, 0.05) if hard is None else (1e-2, hard)
    assert found.keys() == golden.keys()
    for key, expected in golden.items():
        # Convolutions may add up in another order on another processor.
        assert found[key]["ncc"] == pytest.approx(expected["ncc"], abs=ncc)
        found_places, expected_places = (one["displacement"] for one in (found[key], expected))
        np.testing.assert_allclose(found_places, expected_places, atol=places)
