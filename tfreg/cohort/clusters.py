"""From what ``--cluster`` says to a client of Dask.

``local:N``: N worker processes on this machine, which listen on its loopback alone. ``tcp://`` or
``tls://``: a scheduler that runs. A YAML file: workers that dask-jobqueue asks a queue for, in
Dask's own words.
"""

import asyncio
import contextlib
import ipaddress
import os
import re
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tfreg.errors import InputError, InputWarning

NEEDS = 'A cluster needs: pip install "tfreg[cluster]"'
QUEUES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
    "local": "local.LocalCluster",  # jobs that are processes, to try a file with
}
# What a run on a cluster of its own needs of Dask. A worker that does not answer is gone after a
# minute (Dask: five), and its place is given up after two, which a busy machine or a slow disk may
# need to start another (Dask: 15 seconds). Memory that TensorFlow keeps is no reason to pause a
# worker, which nobody would wake again; and one lost worker says nothing against its chunk.
CONFIG = {
    "distributed.scheduler.allowed-failures": 3,
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.deploy.lost-worker-timeout": "120s",
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
}
_CONNECT = 30.0  # seconds
_KEEP = 30.0  # seconds between two looks at how many workers there are
_CLOSE = 60.0  # seconds that the processes of a cluster may take to end


@contextlib.contextmanager
def opened(
    where: str,
    tls: str | None = None,
    memory_gib: float | None = None,
) -> Iterator[Any]:
    """A ``distributed.Client``, and at the end nothing that was started for it is left.

    Args:
        where: ``"local:N"``, the address of a scheduler, or the path of a YAML file.
        tls: a YAML file of Dask's configuration with ``distributed: comm: tls:``, for addresses.
        memory_gib: what a worker of ``local:N`` may take, beyond which it is started anew.

    Raises:
        InputError: on anything else, a file that cannot be used, or a scheduler that does not
            answer.
    """
    try:
        import dask
        import distributed  # noqa: F401
    except ImportError as error:
        raise InputError(f"{NEEDS} ({error})") from error
    local = re.fullmatch(r"local:(\d{1,4})", where)
    address = re.fullmatch(r"(tcp|tls)://\S+", where)
    if memory_gib is not None and not local:
        raise InputError(
            "--worker-memory-gib is for --cluster local:N; schedulers and queues have their own "
            f"setting. Received: --cluster {where}"
        )
    if tls is not None and not address:
        raise InputError(
            f"--cluster-tls is for the address of a scheduler. Received: --cluster {where}"
        )
    if local and int(local[1]):
        with dask.config.set(CONFIG), _local(int(local[1]), memory_gib) as client:
            yield client
    elif address:
        with _remote(where, tls) as client:
            yield client
    elif Path(where).suffix in (".yaml", ".yml"):
        with dask.config.set(CONFIG), _queue(Path(where)) as client:
            yield client
    else:
        raise InputError(
            "--cluster must be local:N, the address of a scheduler such as tcp://host:8786, or a "
            f"YAML file of dask-jobqueue. Received: {where}"
        )


@contextlib.contextmanager
def _local(count: int, memory_gib: float | None) -> Iterator[Any]:
    import distributed

    threads = str(max(1, (os.cpu_count() or 1) // count))
    environment = {
        name: os.environ.get(name, threads)
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    }
    environment |= {"TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")}
    cluster = distributed.LocalCluster(
        n_workers=count,
        threads_per_worker=1,  # TensorFlow has threads of its own
        processes=True,
        host="127.0.0.1",
        # Dask's pages listen to everybody where they are not told otherwise.
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        memory_limit=0 if memory_gib is None else int(memory_gib * 2**30),
        env=environment,
        silence_logs=40,
    )
    with _of(cluster, lambda: cluster.scale(count)) as client:
        yield client


@contextlib.contextmanager
def _of(cluster: Any, refill: Callable[[], Any]) -> Iterator[Any]:
    """A client of a cluster of ours; ``refill`` starts workers in the place of lost ones."""
    import distributed

    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(_KEEP):  # Dask itself forgets a worker that could not be started again
            cluster.loop.add_callback(refill)

    threading.Thread(target=keep, name="keep workers", daemon=True).start()
    try:
        with distributed.Client(cluster, set_as_default=False) as client:
            yield client
    finally:
        ended.set()
        # What was done is done: a killed process that is slow to go is no failure.
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            cluster.close(timeout=_CLOSE)


@contextlib.contextmanager
def _remote(address: str, tls: str | None) -> Iterator[Any]:
    import distributed

    secure = address.startswith("tls://")
    if secure != (tls is not None):
        raise InputError(
            "A scheduler at tls:// needs --cluster-tls, and only that one takes it. "
            f"Received: {address}"
        )
    if not secure and not _loopback(address):
        warnings.warn(
            f"whoever reaches {address} can run programs as its workers: without TLS it must stand "
            "in a network of its own (see --cluster-tls)",
            InputWarning,
            stacklevel=2,
        )
    with _configured(_yaml(Path(tls)) if tls else {}):
        try:
            security = distributed.Security(require_encryption=True) if tls else None
            client = distributed.Client(
                address, timeout=_CONNECT, security=security, set_as_default=False
            )
        except Exception as error:  # of many kinds, of sockets, certificates and versions
            why = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"No scheduler answers at {address}: {why}") from error
        with client:
            yield client


@contextlib.contextmanager
def _queue(path: Path) -> Iterator[Any]:
    import dask

    settings = _yaml(path)
    try:
        import dask_jobqueue  # and its own defaults, which the file changes
    except ImportError as error:
        raise InputError(f"{NEEDS} ({error})") from error
    known = [name for name in settings.get("jobqueue") or {} if name in QUEUES]
    if len(known) != 1:
        raise InputError(
            f"{path} must name one queue below jobqueue, as dask-jobqueue's own files do: "
            f"{', '.join(QUEUES)}. Received: {', '.join(known) or 'none'}"
        )
    kind: Any = dask_jobqueue
    if known[0] == "local":
        import dask_jobqueue.local
    for part in QUEUES[known[0]].split("."):
        kind = getattr(kind, part)
    with _configured(settings):
        most = dask.config.get("distributed.adaptive.maximum", float("inf"))
        if not 0 < float(most) < float("inf"):
            raise InputError(
                f"{path} must say how many workers to ask for at most: distributed: adaptive: "
                f"maximum: N. Received: {most}"
            )
        try:
            cluster = kind()
        except (ValueError, TypeError, OSError) as error:
            raise InputError(f"{path} cannot be used: {' '.join(str(error).split())}") from error
        with _of(cluster, lambda: cluster.scale(jobs=len(cluster.worker_spec))) as client:
            # Workers that end at their lifetime are replaced, and jobs that wait are no failure.
            cluster.adapt()
            yield client


@contextlib.contextmanager
def _configured(settings: dict[str, Any]) -> Iterator[None]:
    """Dask's configuration with these changes; what they do not name stays."""
    import dask

    with dask.config.set(dask.config.merge(dask.config.config, settings)):
        yield


def _loopback(address: str) -> bool:
    host = re.sub(r"^\w+://", "", address).rsplit(":", 1)[0].strip("[]")
    try:
        return all(
            ipaddress.ip_address(found[4][0]).is_loopback
            for found in socket.getaddrinfo(host, None)
        )
    except (OSError, ValueError):
        return False


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} must be Dask's configuration: a mapping. Received: {content!r}")
    return content
