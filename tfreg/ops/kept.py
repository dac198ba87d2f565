"""Compiled functions of TensorFlow whose tracing outlives a process, as their executables do.

Where an executable was kept (``tfreg.executables``), tracing is what is left of a compilation. What
was traced is kept beside it, in the same private folder, under a name that does not depend on what
else a process traces: only so XLA finds its executable again.
"""

import contextlib
import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfreg import executables


class KeptFunction:
    """A function compiled by XLA, once per shape of its arguments.

    Args:
        function: function of tensors, written with ``keras.ops``.
        identity: what it computes, in words that change when that does.
        island: the function compiled as ever, for where it cannot be kept: nothing is kept at all,
            the function reads tensors that are no arguments, or TensorFlow has no place for
            functions that were not traced in this process.
    """

    def __init__(self, function: Callable, identity: str, island: Callable) -> None:
        self._function = function
        self._identity = identity
        self._island = island
        self._calls: dict[tuple, Callable | None] = {}

    def __call__(self, *args: Any) -> Any:
        folder = executables.folder()
        if folder is None:
            return self._island(*args)
        import tensorflow as tf

        specs = tuple((tuple(arg.shape), _name(arg.dtype)) for arg in args)
        if specs not in self._calls:
            self._calls[specs] = self._made(folder, specs)
        call = self._calls[specs]
        if call is not None:
            try:
                return call(*args)
            except tf.errors.OpError:
                # An executable may be damaged, which TensorFlow does not recover from.
                self._calls[specs] = None
                executables.clear()
        return self._island(*args)

    def _made(self, folder: Path, specs: tuple) -> Callable | None:
        words = "\n".join((_source(), self._identity, repr(specs)))
        key = hashlib.sha256(words.encode()).hexdigest()[:32]
        path = folder / f"{key}.traced"
        found = _read(path)
        if found is None:
            found = _traced(self._function, specs, f"tfreg_{key}")
            if found is None:
                return None
            _write(path, *found)
        return _callable(*found)


def _traced(function: Callable, specs: tuple, name: str) -> tuple[dict[str, Any], Any] | None:
    """What is needed to call a function, and its definition with those that it calls."""
    import tensorflow as tf

    tensors = [tf.TensorSpec(shape, dtype) for shape, dtype in specs]
    # A definition runs as it is; the request to compile one is kept in a definition that calls it.
    island = tf.function(function, jit_compile=True, autograph=False)
    outer = tf.function(lambda *args: island(*args), autograph=False)
    concrete = outer.get_concrete_function(*tensors)
    if concrete.captured_inputs:
        return None
    library = tf.compat.v1.GraphDef().library
    library.function.append(concrete.function_def)
    library.function.extend(concrete.graph.as_graph_def().library.function)
    _rename(library, name)
    about = {
        "name": library.function[0].signature.name,
        "outputs": [_name(tensor.dtype) for tensor in concrete.outputs],
        "single": not isinstance(concrete.structured_outputs, tuple),
    }
    return about, library


def _rename(library: Any, name: str) -> None:
    """Gives functions names that no other trace uses."""
    names = {f.signature.name: f"{name}_{i}" for i, f in enumerate(library.function)}
    for function in library.function:
        function.signature.name = names[function.signature.name]
        for node in function.node_def:
            for value in node.attr.values():
                for called in (value.func,) if value.HasField("func") else value.list.func:
                    called.name = names.get(called.name, called.name)


def _callable(about: dict[str, Any], library: Any) -> Callable | None:
    import tensorflow as tf

    # No public function of TensorFlow makes a definition known short of a SavedModel, whose writing
    # takes longer than tracing. Where a version has it elsewhere, functions are traced as ever.
    try:
        from tensorflow.python.eager import context

        for function in library.function:
            context.context().add_function_def(function)
    except (ImportError, AttributeError):
        return None
    types = [tf.as_dtype(name) for name in about["outputs"]]

    def call(*args: Any) -> Any:
        tensors = [tf.convert_to_tensor(arg) for arg in args]
        found = tf.raw_ops.StatefulPartitionedCall(args=tensors, Tout=types, f=about["name"])
        return found[0] if about["single"] else tuple(found)

    return call


def _name(dtype: Any) -> str:
    return getattr(dtype, "name", None) or str(dtype)


@functools.lru_cache(maxsize=1)
def _source() -> str:
    """Hash of tfreg's own code: what was traced is what some function of it once did."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], Any] | None:
    import tensorflow as tf

    try:
        head, _, body = path.read_bytes().partition(b"\n")
        about = json.loads(head)
        if hashlib.sha256(body).hexdigest() != about["sha256"]:
            return None
        return about, type(tf.compat.v1.GraphDef().library).FromString(body)
    except (OSError, ValueError, KeyError):
        return None  # there is none, or half of one: it is made again


def _write(path: Path, about: dict[str, Any], library: Any) -> None:
    body = library.SerializeToString(deterministic=True)
    head = json.dumps({**about, "sha256": hashlib.sha256(body).hexdigest()}).encode()
    with contextlib.suppress(OSError):  # a full disk is no reason not to register
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(head + b"\n" + body)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
