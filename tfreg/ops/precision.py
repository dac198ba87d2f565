"""The precision of computation: float32, or float64 where an argument is; never less."""

from typing import Any

import keras
import numpy as np
from keras import ops


def at_least_float32(values: Any) -> Any:
    """A tensor of float32, or float64 where ``values`` is; lists of numbers are float32."""
    if isinstance(values, (list, tuple)):
        values = np.asarray(values, dtype="float32")
    values = ops.convert_to_tensor(values)
    if keras.backend.standardize_dtype(values.dtype) != "float64":
        values = ops.cast(values, "float32")
    return values


def same_dtype(*tensors: Any) -> list[Any]:
    """Tensors of one dtype: float64 if any is, else float32."""
    values = [at_least_float32(tensor) for tensor in tensors]
    names = [keras.backend.standardize_dtype(value.dtype) for value in values]
    dtype = "float64" if "float64" in names else "float32"
    return [ops.cast(value, dtype) for value in values]
