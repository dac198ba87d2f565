"""Principal components of the same patches: what the paper compares its features with."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import losses
from tfreg.errors import InputError
from tfreg.features.dense import around, convolve
from tfreg.features.principal import Principal
from tfreg.models import FeatureModel


@keras.saving.register_keras_serializable(package="tfreg")
class PatchPCA(FeatureModel):
    """The first principal components of the patch about every voxel.

    Args:
        ndim: number of spatial axes, 2 or 3.
        size: odd, voxels of a patch along each axis.
        components: how many.
        kwargs: of :class:`tfreg.models.FeatureModel`.

    Input shape:
        Patches ``(batch, *size, 1)`` in [0, 1].

    Output shape:
        The same: what the components keep of them.

    Raises:
        ValueError: on a size that is even, or more components than voxels.

    Example:

    >>> import numpy as np
    >>> from zoo.sae.pca import PatchPCA
    >>> PatchPCA(size=3, components=4).features(np.zeros((9, 8, 10))).shape
    (9, 8, 10, 4)
    """

    metric: ClassVar[str] = "ncc"

    def __init__(self, ndim: int = 3, size: int = 7, components: int = 16, **kwargs: Any) -> None:
        super().__init__(ndim=ndim, **kwargs)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size must be odd and positive. Received: size={size}")
        if not 1 <= components <= size**ndim:
            raise ValueError(
                f"components must be 1 to {size**ndim}. Received: components={components}"
            )
        self.size, self.components = size, components

    def build(self, input_shape: Any = None) -> None:
        length = self.size**self.ndim
        fixed = {"trainable": False, "initializer": "zeros"}
        self.mean = self.add_weight(shape=(length,), name="mean", **fixed)
        shape = (length, self.components)
        self.directions = self.add_weight(shape=shape, name="directions", **fixed)
        self.built = True

    def use(self, found: Principal) -> None:
        """Takes the mean and the directions of patches."""
        self.mean.assign(found.mean)
        self.directions.assign(found.directions)

    @property
    def reach(self) -> int:
        return self.size // 2

    def described(self, images: Any, **options: Any) -> Any:
        shape = (*[self.size] * self.ndim, 1, self.components)
        offset = keras_ops.sum(self.mean[:, None] * self.directions, axis=0)
        found = convolve(around(images, self.reach), keras_ops.reshape(self.directions, shape))
        return found - keras_ops.cast(offset, found.dtype)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        flat = keras_ops.reshape(inputs, (-1, self.size**self.ndim))
        mean = keras_ops.cast(self.mean, flat.dtype)
        directions = keras_ops.cast(self.directions, flat.dtype)
        codes = keras_ops.matmul(flat - mean, directions)
        found = mean + keras_ops.matmul(codes, keras_ops.transpose(directions))
        return keras_ops.reshape(found, (-1, *inputs.shape[1:]))

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """NCC of each patch and what the components keep of it."""
        found = self.predict(inputs, batch_size=batch_size, verbose=0)
        return keras_ops.convert_to_numpy(losses.ncc(inputs, found))

    def check_size(self, size: Sequence[int]) -> None:
        if min(size) < self.size:
            raise InputError(
                f"Images must have {self.size} voxels or more along each axis for these features. "
                f"Received: size={tuple(size)}"
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "components": self.components}
