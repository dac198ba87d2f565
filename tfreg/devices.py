"""Training on several devices of one machine, with the batches and the loss of one.

On JAX ``keras.distribution.DataParallel``: each device has a part of every batch, and the step is
one program over all of them. On TensorFlow ``tf.distribute.MirroredStrategy``: each device has a
copy of the weights, and gradients are summed. The batch is that of one device, in its order; so is
the loss, up to the order in which floating-point sums are taken.
"""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from tfreg.errors import InputError, InputWarning


@contextlib.contextmanager
def on_devices(count: int) -> Iterator[None]:
    """What is built and trained within is on so many devices.

    Accelerators are taken where there are any, else processors, of which a machine has one unless
    it was told otherwise (``XLA_FLAGS=--xla_force_host_platform_device_count=N`` on JAX).

    Args:
        count: 1 changes nothing.

    Raises:
        InputError: if there are not so many.
    """
    if count == 1:
        yield
    elif keras.config.backend() == "tensorflow":
        with _mirrored(count):
            yield
    elif keras.config.backend() == "jax":
        with _data_parallel(count):
            yield
    else:
        raise InputError(
            f"--devices is for TensorFlow and JAX. Received: KERAS_BACKEND={keras.config.backend()}"
        )


@contextlib.contextmanager
def shared_loss(model: keras.Model) -> Iterator[int]:
    """Trains a model of ours in the scope of several devices as on one; answers how many.

    Keras takes a loss of a replica for its share of the sum over all, and does not see to it where
    a model has a ``compute_loss`` of its own; ours answer the mean over their images.
    """
    count = replicas(model)
    if count == 1:
        yield 1
        return
    layers = [layer for layer in _layers(model) if hasattr(layer, "synchronized")]
    before = [layer.synchronized for layer in layers]
    own = type(model).compute_loss is not keras.Model.compute_loss
    compute = model.compute_loss
    try:
        for layer in layers:  # the statistics of the whole batch, as on one device
            layer.synchronized = True
        if own:
            model.compute_loss = lambda *args, **kwargs: compute(*args, **kwargs) / count
        yield count
    finally:
        if own:
            model.compute_loss = compute
        for layer, value in zip(layers, before, strict=True):
            layer.synchronized = value


def replicas(model: keras.Model) -> int:
    """How many copies of a model there are: 1 on JAX, where one program runs on all devices."""
    if keras.config.backend() != "tensorflow":
        return 1
    return model.distribute_strategy.num_replicas_in_sync


def parted(validation: Any) -> tuple[Any, dict[str, int]]:
    """Held-out arrays as several devices take them, and the arguments that ``fit`` needs beside.

    Every batch is parted evenly, so that no device has none of it; what is left over of the arrays
    is left out, with a warning.

    Args:
        validation: ``None``, or nested arrays of one length, as ``keras.Model.fit`` takes them.
    """
    count = in_use()
    if count == 1 or validation is None:
        return validation, {}
    items = next(len(part) for part in keras.tree.flatten(validation) if part is not None)
    kept = items // count * count
    if kept < items:
        warnings.warn(
            f"the validation loss is that of {kept} of {items} items: as many for each of the "
            f"{count} devices",
            InputWarning,
            stacklevel=3,
        )
        validation = keras.tree.map_structure(
            lambda part: None if part is None else part[:kept], validation
        )
    return validation, {"validation_batch_size": max(1, 32 // count) * count}


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """What runs within takes any number of items, on one device where several part them evenly."""
    if keras.config.backend() != "jax" or keras.distribution.distribution() is None:
        yield
        return
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def in_use() -> int:
    """How many devices what is built now is on."""
    if keras.config.backend() == "jax":
        distribution = keras.distribution.distribution()
        return 1 if distribution is None else int(distribution.device_mesh.devices.size)
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return int(tf.distribute.get_strategy().num_replicas_in_sync)
    return 1


def mirrored() -> bool:
    """Whether what is built now has copies."""
    return keras.config.backend() == "tensorflow" and in_use() > 1


@contextlib.contextmanager
def _mirrored(count: int) -> Iterator[None]:
    import tensorflow as tf

    names = {kind: tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU")}
    kind = "GPU" if names["GPU"] else "CPU"
    _enough(count, kind, len(names[kind]))
    chosen = [device.name for device in names[kind][:count]]
    with tf.distribute.MirroredStrategy(chosen).scope():
        yield


@contextlib.contextmanager
def _data_parallel(count: int) -> Iterator[None]:
    found = keras.distribution.list_devices()
    _enough(count, found[0].partition(":")[0].upper(), len(found))
    before = keras.distribution.distribution()
    parallel = keras.distribution.DataParallel(devices=found[:count])
    keras.distribution.set_distribution(parallel)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def _enough(count: int, kind: str, there: int) -> None:
    if there < count:
        raise InputError(f"--devices: this machine has {there} ({kind}). Received: {count}")


def _layers(layer: Any) -> Iterator[Any]:
    """A layer and all within it."""
    seen: set[int] = set()
    waiting = [layer]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += list(getattr(one, "layers", ()) or ())
        waiting += [v for v in vars(one).values() if isinstance(v, keras.layers.Layer)]
        waiting += [
            v
            for values in vars(one).values()
            if isinstance(values, (list, tuple))
            for v in values
            if isinstance(v, keras.layers.Layer)
        ]
