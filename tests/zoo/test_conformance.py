"""Every preset and every architecture that is found, whatever its method."""

import importlib

import conformance
import pytest
from conformance import common

CASES, ARCHITECTURES = conformance.cases(), conformance.architectures()
KINDS = conformance.kinds()
cases = pytest.mark.parametrize("case", CASES, ids=conformance.names(CASES))
AGAIN = conformance.compiled_again(CASES)
answered = pytest.mark.parametrize(
    "case",
    [pytest.param(one, marks=[pytest.mark.long] if one in AGAIN else []) for one in CASES],
    ids=conformance.names(CASES),
)
architectures = pytest.mark.parametrize("case", ARCHITECTURES, ids=conformance.names(ARCHITECTURES))
kinds = pytest.mark.parametrize("case", KINDS, ids=conformance.names(KINDS))


def of_task(case):
    """The checks of the case's task."""
    return importlib.import_module(f"conformance.{case.preset.task}")


@cases
def test_it_says_what_it_is(case):
    common.check_preset(case)


@cases
def test_its_weights_are_those_of_its_file(case):
    common.check_weights(case)


@answered
def test_golden_output(case, pytestconfig):
    task = of_task(case)
    found = task.answered(case)
    if pytestconfig.getoption("--record"):
        case.record(found)
    task.check_golden(case, found)


@architectures
def test_it_is_made_again_from_its_configuration(case, tmp_path):
    common.check_configuration(case, tmp_path)


@kinds
def test_its_answer(case):
    of_task(case).check_answer(case)


@pytest.mark.long
@architectures
def test_in_bfloat16(case):
    of_task(case).check_bfloat16(case)


@kinds
def test_bad_input_is_refused(case):
    of_task(case).check_refusals(case)
