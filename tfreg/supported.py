"""Refuses a backend of Keras that tfreg does not run on, before anything else meets it.

The packages that need Keras import this module first. ``import tfreg`` alone does not.
"""

import os

from tfreg.errors import InputError

_BACKENDS = ("tensorflow", "jax")


def _refusal(received: str) -> InputError:
    return InputError(
        "tfreg runs on the backends tensorflow and jax of Keras: set KERAS_BACKEND=tensorflow. "
        f"Received: {received}"
    )


try:
    import keras
except (ImportError, ValueError) as error:  # a backend that is not installed, or unknown
    named = os.environ.get("KERAS_BACKEND")
    if named is None:
        raise
    raise _refusal(f"KERAS_BACKEND={named}, with which Keras says: {error}") from error
if keras.config.backend() not in _BACKENDS:
    raise _refusal(f"KERAS_BACKEND={keras.config.backend()}")
