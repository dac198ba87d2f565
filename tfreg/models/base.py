"""What the models of every task have in common: their configuration, options, and intensities."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from tfreg.errors import InputError
from tfreg.registration.images import (
    PERCENTILES,
    as_image,
    percentiles_of,
    range_of,
    unit_range,
)
from tfreg.registration.preprocessing import Preprocessing


class Model(keras.Model):
    """A model of the zoo, whatever its task.

    Args:
        ndim: number of spatial axes of its images, 2 or 3.
        intensity_range: the intensities that the network sees as 0 and 1, such as HU of a CT; what
            is outside is cut off. ``None``: the darkest and the brightest voxel of each image that
            is no outlier.
        percentiles: beyond which outliers are looked for where there is no ``intensity_range``,
            see ``tfreg.registration.Preprocessing``.

    Attributes:
        task: what it is for; presets name it.
        metric: what training is watched by, a metric that it tracks by this name, and the score of
            its presets.
        options: names of further arguments that its call for that task takes.
        preprocessing: the images that it was trained on, where it comes from a preset.

    Raises:
        ValueError: on a value out of range.
    """

    task: ClassVar[str] = ""
    metric: ClassVar[str] = ""
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        ndim: int,
        intensity_range: Sequence[float] | None = None,
        percentiles: Sequence[float] = PERCENTILES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if ndim not in (2, 3):
            raise ValueError(f"ndim must be 2 or 3. Received: ndim={ndim}")
        self.ndim = ndim
        self.intensity_range = range_of("intensity_range", intensity_range)
        self.percentiles = percentiles_of(percentiles)
        self.preprocessing: Preprocessing | None = None
        self._functions: dict[Any, Callable] = {}

    def build(self, input_shape: Any = None) -> None:
        """A model without layers of its own has nothing to build."""
        self.built = True

    def check_size(self, size: Sequence[int]) -> None:
        """Raises ``InputError`` when images of this size cannot go through the network."""

    def check_options(self, options: dict[str, Any]) -> None:
        """Raises ``InputError`` on unusable values of ``options``."""

    def check_arguments(self, options: dict[str, Any]) -> None:
        """Raises ``InputError`` on options that the network does not take, or unusable values."""
        unknown = [name for name in options if name not in self.options]
        if unknown:
            known = f"its options are {', '.join(self.options)}" if self.options else "it has none"
            raise InputError(
                f"{type(self).__name__} does not take this option; {known}. "
                f"Received: {', '.join(unknown)}"
            )
        self.check_options(options)

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """The metric on held-out data, one value for each item.

        Args:
            inputs, targets: of training, see ``tfreg.data.Batches.split``.
            batch_size: items that go through the network together.
        """
        raise NotImplementedError

    def prepared(self, values: Any, name: str, channels: int = 1) -> np.ndarray:
        """What the network sees of images: checked, cut off, in [0, 1], float32.

        Args:
            values: ``(*spatial,)``, ``(batch, *spatial)`` or ``(batch, *spatial, 1)``; of more
                channels than one ``(*spatial, channels)`` or ``(batch, *spatial, channels)``.
            name: what to call them in an error.
            channels: how many there must be.

        Returns:
            ``(batch, *spatial, channels)``.

        Raises:
            InputError: on another shape, values that are not finite, or a size that the network
                does not take.
        """
        images = as_image(values, self.ndim, name, channels=channels > 1)
        if images.shape[-1] != channels:
            raise InputError(
                f"{name} must have {channels} channels. Received: shape={np.shape(values)}"
            )
        self.check_size(images.shape[1:-1])
        return self.unit(self.clipped(images))

    def clipped(self, images: np.ndarray) -> np.ndarray:
        """Images ``(batch, *spatial, 1)`` cut off at ``intensity_range``, if there is one."""
        if self.intensity_range is None:
            return images
        low, high = self.intensity_range
        return np.clip(images, low, high)

    def unit(self, images: np.ndarray) -> np.ndarray:
        """What the network sees of clipped images: intensities in [0, 1], float32."""
        if self.intensity_range is None:
            return unit_range(images, self.percentiles)
        low, high = self.intensity_range
        return ((images - low) / (high - low)).astype("float32")

    def function(self, key: Any, make: Callable[[], Callable]) -> Callable:
        """A compiled function, made on first use and kept: a second call pays nothing."""
        if key not in self._functions:
            self._functions[key] = make()
        return self._functions[key]

    def in_batches(self, function: Callable, *arrays: np.ndarray, batch_size: int) -> Any:
        """What a function of tensors answers of arrays that it takes ``batch_size`` at a time.

        Args:
            function: takes as many tensors ``(batch, ...)`` and answers one, or several.
            arrays: of one length.
            batch_size: items that the function takes together.

        Returns:
            A NumPy array, or a tuple of such, of the length of ``arrays``.
        """
        starts = range(0, len(arrays[0]), batch_size)
        parts = [function(*(array[k : k + batch_size] for array in arrays)) for k in starts]
        if isinstance(parts[0], (tuple, list)):
            sides = zip(*parts, strict=True)
            return tuple(np.concatenate([_array(part) for part in side]) for side in sides)
        return np.concatenate([_array(part) for part in parts])

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the model again, without weights; a subclass adds its own."""
        config = {
            "name": self.name,
            "ndim": self.ndim,
            "intensity_range": self.intensity_range,
            "percentiles": self.percentiles,
        }
        if self.dtype_policy.name != "float32":
            config["dtype"] = self.dtype_policy.name
        return config


def _array(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def numbers(name: str, values: Any, count: int) -> tuple[float, ...] | None:
    """As many finite numbers, or ``None``.

    Raises:
        ValueError: on anything else.
    """
    if values is None:
        return None
    found = np.asarray(values)
    if found.shape != (count,) or found.dtype.kind not in "iuf" or not np.isfinite(found).all():
        raise ValueError(f"{name} must be {count} finite numbers. Received: {name}={values}")
    return tuple(map(float, found))
