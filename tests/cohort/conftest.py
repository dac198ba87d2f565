"""A local cluster for all tests of a module."""

import json
from types import SimpleNamespace

import cohort_cases
import pytest

from tfreg.cohort import clusters
from tfreg.cohort.run import Run, token


@pytest.fixture(scope="module")
def client():
    pytest.importorskip("distributed", reason="needs tfreg[cluster]")
    with clusters.opened("local:2") as found:
        yield found


@pytest.fixture
def running(tmp_path, client):
    """Runs pairs that are words on the cluster."""

    def run(words, given=None, client=client, pairs=None, seconds=0.0, limit=None, **more):
        pairs = cohort_cases.pairs(tmp_path / "in", words) if pairs is None else pairs
        mark, said = token(), []
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        options = json.dumps({"out": str(out), "run": mark, "seconds": seconds})
        run = Run(pairs, cohort_cases.of(options), out, mark, limit_failures=limit)
        rows = run.on(client, cohort_cases.WORK, options, said=said.append, **more)
        return SimpleNamespace(run=run, rows=rows, out=out, said=said, pairs=pairs, options=options)

    return run
