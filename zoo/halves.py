"""Weights on disk in half precision, which changes no digit of a score."""

import os
from collections.abc import Sequence
from dataclasses import replace

import h5py
import numpy as np

from zoo.presets import Preset, sha256_of


def rounded(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What is left of weights in half precision, in the precision that they have."""
    return [values.astype("float16").astype(values.dtype) for values in weights]


def halve(preset: Preset) -> Preset:
    """Writes a preset's weights again, as float16, and its JSON file with their hash.

    Keras reads them into the model's float32.
    """
    path = preset.weights_path
    partial = path.with_suffix(".partial")
    with h5py.File(path) as whole, h5py.File(partial, "w", libver="latest") as half:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                values = item[()].astype("float16") if item.dtype == np.float32 else item[()]
                options = {"compression": "gzip", "shuffle": True, "chunks": values.shape}
                half.create_dataset(name, data=values, **(options if values.ndim else {}))
            else:
                half.create_group(name)
            for key, value in item.attrs.items():
                half[name].attrs[key] = value

        whole.visititems(copy)
        for key, value in whole.attrs.items():
            half.attrs[key] = value
    os.replace(partial, path)
    preset = replace(preset, sha256=sha256_of(path))
    preset.write()
    return preset
