"""The only place that knows which Keras backend runs: compilation and gradients of functions."""

import contextlib
import contextvars
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from tfreg.errors import InputError
from tfreg.ops.kept import KeptFunction

_PLAIN = contextvars.ContextVar("plain", default=False)
_PROCESS = {"started": False, "forked": False}  # whether compiled functions ran here, or before


def _after_fork() -> None:
    _PROCESS.update(started=False, forked=_PROCESS["started"] or _PROCESS["forked"])


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)


def _start() -> None:
    """Notes that a compiled function runs, or refuses where it would hang.

    A forked process has none of the threads with which TensorFlow or JAX began in its parent, and
    waits for them.
    """
    if _PROCESS["forked"]:
        raise InputError(
            "A process forked after its parent ran compiled functions cannot run them: start it "
            'with "spawn", as multiprocessing.get_context("spawn") does. '
            f"Received: forked process {os.getpid()}"
        )
    _PROCESS["started"] = True


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Within it TensorFlow traces plain graphs, without XLA islands.

    For export to formats that know no XLA, such as ONNX. What was traced before keeps its islands.

    Example:

    >>> import keras
    >>> from tfreg import layers, ops
    >>> velocity = keras.Input((8, 8, 2))
    >>> model = keras.Model(velocity, layers.VelocityTransformer()(velocity))
    >>> with ops.uncompiled():
    ...     model.export("model.onnx", format="onnx")  # doctest: +SKIP
    """
    token = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(token)


def is_compiling() -> bool:
    """Whether :func:`compiled` compiles here: not within :func:`uncompiled`."""
    return keras.config.backend() == "jax" or not _PLAIN.get()


def compiled(
    function: Callable, variables: Sequence[Any] = (), identity: str | None = None
) -> Callable:
    """Compiles ``function`` as a whole: an XLA island on TensorFlow, ``jit`` on JAX.

    Inside a TensorFlow graph the island is compiled on its own while its surroundings
    (convolutions, which are faster in the ordinary graph on a CPU) stay as they are. Compilation
    is cached per shape and dtype of the arguments, all of which must be tensors.

    Args:
        function: function of tensors, written with ``keras.ops``.
        variables: the Keras variables that the function reads, so that it follows their changes.
        identity: what the function computes, in words that change when that does. With it
            TensorFlow need not trace the function again in another process, where executables are
            kept (``tfreg.executables``).

    Returns:
        A function of the same arguments and results.
    """
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        # Shapes are never relaxed to unknown ones: XLA compiles for exact shapes in any case.
        # Nothing in keras.ops needs AutoGraph, which rewrites every function that it meets.
        options = {"jit_compile": True, "reduce_retracing": False, "autograph": False}
        island = tf.function(_Island(function), **options)
        # Within a graph an island is part of what is traced.
        kept = None if identity is None else KeptFunction(_Island(function), identity, island)

        def run(*args: Any) -> Any:
            _start()
            if _PLAIN.get():
                # Arrays become tensors, as the island would make them.
                return function(*(keras.ops.convert_to_tensor(arg) for arg in args))
            return (kept if kept and tf.executing_eagerly() else island)(*args)

        return functools.wraps(function)(run)
    return _jit(function, variables)


class _Traced:
    """A function as an object: TensorFlow counts the tracings of one source line together."""

    def __init__(self, function: Callable) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


class _Island(_Traced):
    """Runs a function without islands inside: they would only be traced one by one."""

    def __call__(self, *args: Any) -> Any:
        with uncompiled():
            return self._function(*args)


def _jit(function: Callable, variables: Sequence[Any]) -> Callable:
    """``jax.jit``, with the variables as arguments: jit would freeze those that it closes over."""
    import jax

    @jax.jit
    def pure(values: list[Any], *args: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*args)

    def run(*args: Any) -> Any:
        _start()
        return pure([v.value for v in variables], *args)

    return functools.wraps(function)(run)


def graph(function: Callable, variables: Sequence[Any] = ()) -> Callable:
    """Traces ``function`` once per shape: an ordinary graph on TensorFlow, ``jit`` on JAX.

    For functions made of convolutions, which TensorFlow runs faster on a CPU without XLA. All
    arguments must be tensors.

    Args:
        function: function of tensors, written with ``keras.ops``.
        variables: as in :func:`compiled`.

    Returns:
        A function of the same arguments and results.
    """
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        traced = tf.function(_Traced(function), reduce_retracing=False, autograph=False)

        def run(*args: Any) -> Any:
            _start()
            return traced(*args)

        return functools.wraps(function)(run)
    return compiled(function, variables)


def gather(values: Any, index: Any) -> Any:
    """``values[index]`` along the first axis, for indices known to be within it.

    ``ops.take`` checks every index for being negative, a tenth of the time of a sampler.
    """
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(values, index)
    return values.at[index].get(mode="promise_in_bounds")


def value_and_gradient(function: Callable, argument: Any) -> tuple[Any, Any]:
    """Values of a function of one tensor, and the gradient of their sum.

    Args:
        function: maps a tensor to a tensor of values, one per problem of a batch.
        argument: the tensor at which both are taken.

    Returns:
        The pair (values, gradient with the shape of ``argument``).
    """
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(argument)
            values = function(argument)
        return values, tape.gradient(values, argument)
    import jax

    def summed(tensor: Any) -> tuple[Any, Any]:
        values = function(tensor)
        return values.sum(), values

    (_, values), gradient = jax.value_and_grad(summed, has_aux=True)(argument)
    return values, gradient


def held(function: Callable, like: Any, *args: Any) -> Any:
    """``function(*args)``, which XLA computes once and keeps.

    XLA fuses a tensor into all that read it and computes it anew in each of them, and removes
    barriers before it does. It does not look into the branches of a condition.

    Args:
        function: of tensors, to one tensor.
        like: a floating-point tensor of the shape and dtype of the answer.
        args: of the function.
    """
    if keras.config.backend() != "tensorflow":
        import jax

        return jax.lax.optimization_barrier(function(*args))
    import tensorflow as tf

    if tf.executing_eagerly():
        return function(*args)
    # True of every number, infinities too, which the compiler cannot know.
    always = tf.not_equal(0 * tf.reshape(like, (-1,))[0], 1)
    lost = tf.constant(float("nan"), like.dtype)
    return tf.cond(always, lambda: function(*args), lambda: tf.fill(tf.shape(like), lost))


@keras.ops.custom_gradient
def held_value(values: Any) -> Any:
    """``values``, which XLA computes once and keeps, and so their gradient: see :func:`held`."""

    def gradient(*args: Any, upstream: Any = None) -> Any:
        upstream = args[0] if upstream is None else upstream
        return held(_same, upstream, upstream)

    return held(_same, values, values), gradient


def _same(values: Any) -> Any:
    return values


def spectrum(values: Any, ndim: int) -> tuple[Any, Any]:
    """Discrete Fourier transform of real values over the last axes.

    Args:
        values: real tensor ``(..., *spatial)``.
        ndim: number of spatial axes, 2 or 3.

    Returns:
        Real and imaginary part, ``(..., *spatial)``, of whose last axis the half that the other
        follows from is left out, ``n // 2 + 1`` frequencies.
    """
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        found = (tf.signal.rfft2d if ndim == 2 else tf.signal.rfft3d)(values)
        return tf.math.real(found), tf.math.imag(found)
    import jax.numpy as jnp

    found = jnp.fft.rfftn(values, axes=tuple(range(-ndim, 0)))
    return found.real, found.imag


def from_spectrum(real: Any, imaginary: Any, shape: Sequence[int]) -> Any:
    """The real values ``(..., *shape)`` of which :func:`spectrum` answers these parts."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        inverse = tf.signal.irfft2d if len(shape) == 2 else tf.signal.irfft3d
        return inverse(tf.complex(real, imaginary), fft_length=list(shape))
    import jax.numpy as jnp

    axes = tuple(range(-len(shape), 0))
    return jnp.fft.irfftn(real + 1j * imaginary, s=tuple(shape), axes=axes)


def scan(
    step: Callable, state: tuple, given: tuple, kept: int = 0, reverse: bool = False
) -> tuple[tuple, tuple]:
    """A loop over rows, which keeps what a loop back over them will need.

    ``keras.ops.scan`` keeps as many tensors as its state has.

    Args:
        step: ``(state, row) -> (state, kept)``, each a tuple of tensors.
        state: what the loop begins with.
        given: tensors of one length along their first axis; a row has one part of each.
        kept: how many tensors a step keeps, all of the shape and dtype of ``state[0]``.
        reverse: whether the last row comes first.

    Returns:
        The last state, and what was kept, in the order of the rows.
    """
    if keras.config.backend() != "tensorflow":
        import jax

        return jax.lax.scan(step, state, given, reverse=reverse)
    import tensorflow as tf

    length = given[0].shape[0]
    form = {"element_shape": state[0].shape, "dynamic_size": False}
    stores = tuple(tf.TensorArray(state[0].dtype, length, **form) for _ in range(kept))

    def body(count: Any, state: tuple, stores: tuple) -> tuple:
        place = length - 1 - count if reverse else count
        state, parts = step(state, tuple(gather(values, place) for values in given))
        stores = tuple(s.write(place, part) for s, part in zip(stores, parts, strict=True))
        return count + 1, state, stores

    begin = (tf.constant(0), state, stores)
    _, state, stores = tf.while_loop(
        lambda count, *_: count < length, body, begin, maximum_iterations=length
    )
    return state, tuple(store.stack() for store in stores)
