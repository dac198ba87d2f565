"""What the models of every task have in common: their configuration, options, and intensities."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from tfreg.errors import InputError
from tfreg.registration.images import unit_range
from tfreg.registration.preprocessing import Preprocessing


class Model(keras.Model):
    """A model of the zoo, whatever its task.

    Args:
        ndim: number of spatial axes of its images, 2 or 3.
        intensity_range: the intensities that the network sees as 0 and 1, such as HU of a CT; what
            is outside is cut off. ``None``: the darkest and the brightest voxel of each image.

    Attributes:
        task: what it is for; presets name it.
        options: names of further arguments that its call for that task takes.
        preprocessing: the images that it was trained on, where it comes from a preset.

    Raises:
        ValueError: on a value out of range.
    """

    task: ClassVar[str] = ""
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, ndim: int, intensity_range: Sequence[float] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if ndim not in (2, 3):
            raise ValueError(f"ndim must be 2 or 3. Received: ndim={ndim}")
        self.ndim = ndim
        self.intensity_range = numbers("intensity_range", intensity_range, 2)
        if self.intensity_range is not None and not np.diff(self.intensity_range)[0] > 0:
            raise ValueError(
                "intensity_range must be two numbers, the lower one first. "
                f"Received: intensity_range={intensity_range}"
            )
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

    def clipped(self, images: np.ndarray) -> np.ndarray:
        """Images ``(batch, *spatial, 1)`` cut off at ``intensity_range``, if there is one."""
        return images if self.intensity_range is None else np.clip(images, *self.intensity_range)

    def unit(self, images: np.ndarray) -> np.ndarray:
        """What the network sees of clipped images: intensities in [0, 1], float32."""
        if self.intensity_range is None:
            return unit_range(images)
        low, high = self.intensity_range
        return ((images - low) / (high - low)).astype("float32")

    def function(self, key: Any, make: Callable[[], Callable]) -> Callable:
        """A compiled function, made on first use and kept: a second call pays nothing."""
        if key not in self._functions:
            self._functions[key] = make()
        return self._functions[key]

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the model again, without weights; a subclass adds its own."""
        config = {
            "name": self.name,
            "ndim": self.ndim,
            "intensity_range": self.intensity_range,
        }
        if self.dtype_policy.name != "float32":
            config["dtype"] = self.dtype_policy.name
        return config


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
