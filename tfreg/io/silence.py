"""Keeps the image libraries from printing what they then raise."""

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

_LOCK = threading.Lock()
_STATE: dict[str, Any] = {"entered": 0}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences what C and C++ libraries print to the process' stderr, and ITK's warnings.

    Python's own stderr goes on working, in this thread and in all others: while the file
    descriptor is silent, ``sys.stderr`` writes to a copy of it. Blocks may be nested and may
    overlap across threads; the last one to end restores everything.

    Example:
        >>> with quiet():
        ...     pass
    """
    with _LOCK:
        if _STATE["entered"] == 0:
            _silence()
        _STATE["entered"] += 1
    try:
        yield
    finally:
        with _LOCK:
            _STATE["entered"] -= 1
            if _STATE["entered"] == 0:
                _restore()


def _silence() -> None:
    import SimpleITK as sitk

    _STATE["warnings"] = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    _STATE["saved"] = None
    try:
        saved = os.dup(2)
    except OSError:  # a process without a stderr has nothing to silence
        return
    _STATE.update(saved=saved, stream=sys.stderr, copy=None)
    if _writes_to_descriptor(sys.stderr):
        sys.stderr.flush()
        raw = open(saved, "wb", buffering=0, closefd=False)  # noqa: SIM115
        _STATE["copy"] = sys.stderr = io.TextIOWrapper(
            raw, sys.stderr.encoding, "backslashreplace", line_buffering=True, write_through=True
        )
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _restore() -> None:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(_STATE["warnings"])
    if _STATE["saved"] is None:
        return
    os.dup2(_STATE["saved"], 2)
    copy = _STATE["copy"]
    if copy is not None:
        copy.flush()
        if sys.stderr is copy:  # else somebody has put another stream there meanwhile
            sys.stderr = _STATE["stream"]
    os.close(_STATE["saved"])


def _writes_to_descriptor(stream: Any) -> bool:
    try:
        return stream.fileno() == 2
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        return False
