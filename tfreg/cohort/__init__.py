"""Many pairs, on one process or on the workers of a Dask cluster, nothing lost.

``register`` is what ``tfreg batch`` does, as an iterator of results. Below it nothing knows of
registration: :mod:`~tfreg.cohort.pipeline` reads, works and writes at the same time in one process;
:mod:`~tfreg.cohort.driver` sends chunks of pairs to workers, :mod:`~tfreg.cohort.worker` is what
they do there, :mod:`~tfreg.cohort.journal` says of what a worker died, and
:mod:`~tfreg.cohort.ledger` what became of each pair.
"""

from tfreg.cohort.front import Result, register

__all__ = ["Result", "register"]
