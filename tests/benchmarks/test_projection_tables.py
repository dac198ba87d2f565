import argparse

import pytest

from benchmarks.tables import projection
from tfreg.errors import InputError


def options(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--methods")
    parser.add_argument("--seed", type=int, default=0)
    projection.add_arguments(parser)
    return parser.parse_args(words)


def test_the_projector_is_timed_and_exact():
    table = projection.run(options("--small", "--repeats", "1"))
    cells = {(row.method, row.metric): row.mean for row in table.rows}
    assert cells["siddon", "error"] < 1e-4 < cells["joseph", "error"] < 0.3
    assert cells["joseph", "seconds_jacobian"] > 0
    assert ("siddon", "seconds_jacobian") not in cells


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--repeats", "0"), "--repeats must be positive"),
        (("--sizes", "x"), "--sizes takes numbers"),
    ],
)
def test_options_are_checked(words, message):
    with pytest.raises(InputError, match=message):
        projection.run(options(*words))
