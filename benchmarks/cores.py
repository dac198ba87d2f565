"""How many cores a table may use."""

import os

# Of those that this process may run on (`taskset`, a container), not of all there are.
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
