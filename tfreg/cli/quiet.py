"""TensorFlow without its start-up notices.

Some versions print notices to stderr while they load, whatever ``TF_CPP_MIN_LOG_LEVEL``
says ("oneDNN custom operations are on ..."). A command says one line, or none.
"""

import contextlib
import importlib.util
import logging
import os
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def hush_tensorflow() -> None:
    """From now on TensorFlow loads without a word; errors are raised as ever."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Its logger advises programmers, on the tracing of tiles of several sizes for one.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if "tensorflow" not in sys.modules and not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds TensorFlow where it is, once, and has it loaded with stderr closed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def quietly(module: ModuleType) -> None:
                with _silent_stderr():
                    load(module)

            spec.loader.exec_module = quietly
        return spec


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # a process without stderr has nothing to silence
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
