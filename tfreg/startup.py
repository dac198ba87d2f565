"""How TensorFlow and Keras load in a command: without a word, and without what no command needs.

Some versions of TensorFlow print notices to stderr while they load, whatever
``TF_CPP_MIN_LOG_LEVEL`` says ("oneDNN custom operations are on ..."). A command says one line, or
none. TensorFlow loads JAX, where it is installed, for a converter, and Keras pyplot for a gallery
of images: together more than a fourth of the time that both take to load.
"""

import contextlib
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from tfreg import executables


def prepare(verbose: bool = False) -> None:
    """To be called by a command before anything loads TensorFlow or Keras.

    Args:
        verbose: leave TensorFlow its words.
    """
    kept = executables.keep()
    if not verbose:
        # An executable that was kept is greeted by lines at the level of errors: that it is not
        # text, and that the compiler's own preferences are no features of the processor.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if kept is None else "3")
        # Its logger advises programmers, on the tracing of tiles of several sizes for one.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        _load_within("tensorflow", _silent_stderr)
    _load_within("tensorflow", lambda: _without("jax"))
    _load_within("keras", lambda: _without("matplotlib.pyplot"))


def _load_within(name: str, context: Callable[[], AbstractContextManager]) -> None:
    """From now on a module that is not there yet loads within a context."""
    if name not in sys.modules:
        sys.meta_path.insert(0, _Finder(name, context))


class _Finder(MetaPathFinder):
    """Finds a module where it is, once, and has it loaded within a context."""

    def __init__(self, name: str, context: Callable[[], AbstractContextManager]) -> None:
        self.name = name
        self._context = context

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load, context = spec.loader.exec_module, self._context

            def within(module: ModuleType) -> None:
                with context():
                    load(module)

            spec.loader.exec_module = within
        return spec


@contextlib.contextmanager
def _without(name: str) -> Iterator[None]:
    """Hides a module that can be done without; what is loaded later finds it."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # as Python marks what must not be imported
    try:
        yield
    finally:
        del sys.modules[name]


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
