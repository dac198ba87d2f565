"""What is said of the agent, held to its committed table."""

import json
import re
from pathlib import Path

import pytest

TABLE = Path(__file__).parents[3] / "benchmarks/results/agent/table.json"
pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason="the table was not made yet")


@pytest.fixture(scope="module")
def content():
    return json.loads(TABLE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rows(content):
    return {(row["method"], row["group"], row["metric"]): row for row in content["rows"]}


def test_every_line_was_measured_on_enough_starts(rows):
    groups = {group for _, group, _ in rows}
    assert {"brain 15", "brain 30", "brain 45", "brain 60", "spine 30", "spine 150"} <= groups
    for (method, group, metric), row in rows.items():
        if metric == "success":
            least = 50 if method.startswith(("elastix", "ants")) else 200
            assert row["n"] >= least, (method, group)


def test_the_agent_without_refinement(rows):
    assert rows["agent plus", "brain 30", "success_8mm"]["mean"] >= 95
    assert rows["agent plus", "brain 15", "success_8mm"]["mean"] >= 98
    assert rows["agent plus", "brain 30", "tre"]["median"] <= 3


def test_the_agent_with_refinement(rows):
    line = "agent plus + refine"
    assert rows[line, "brain 30", "success_8mm"]["mean"] >= 98
    assert rows[line, "brain 30", "tre"]["median"] < 1
    assert rows[line, "brain 45", "success_8mm"]["mean"] >= 95
    assert rows[line, "brain 30", "seconds"]["median"] < 2


def test_at_large_starts_it_is_ahead_of_what_is_no_agent(rows):
    at = {
        method: row["mean"]
        for (method, group, metric), row in rows.items()
        if (group, metric) == ("brain 60", "success_8mm")
    }
    ours = max(value for method, value in at.items() if method.startswith("agent plus"))
    others = [value for method, value in at.items() if not method.startswith("agent")]
    assert ours > max(others)


def test_variants_were_trained_as_long(content):
    """Q-learning as many seconds, hence fewer iterations."""
    command = re.compile(r"(.+): tfreg train agent-brain .*--iterations (\d+)")
    found = dict(match.groups() for match in map(command.match, content["notes"]) if match)
    for other in ("regression", "agent plus difference", "agent plus raw"):
        assert found.get(other, found["agent plus"]) == found["agent plus"], other
    assert int(found["dqn"]) <= int(found["agent plus"])


def test_steps_beat_a_jump_and_exact_values_beat_exploring(rows):
    best = rows["agent plus", "brain 30", "success_8mm"]["mean"]
    for other in ("regression", "dqn"):
        assert best > rows[other, "brain 30", "success_8mm"]["mean"]
