"""Random cubes of single volumes, as NumPy arrays or as a ``tf.data`` pipeline."""

from collections.abc import Sequence

import numpy as np

from tfreg.data.batches import Array, Batches

CONTRAST = 0.03  # standard deviation of a cube, of images in [0, 1], below which it shows nothing


class VolumePatches(Batches):
    """Batches of cubes ``(batch, *size, 1)`` that show something, as likely from each image.

    Args:
        images: ``(*spatial)`` float32 in [0, 1], 2-D or 3-D, of any sizes.
        size: voxels along each axis.
        batch_size, seed: as :class:`tfreg.data.Batches` takes them.
        contrast: standard deviation that a cube must exceed.

    Raises:
        ValueError: on an image that is smaller than a cube, or in which nothing has that contrast.

    Example:

    >>> import numpy as np
    >>> from tfreg.data.volume_patches import VolumePatches
    >>> volumes = np.random.default_rng(0).random((2, 12, 10, 9)).astype("float32")
    >>> VolumePatches(volumes, 7, 4).batch(0)["images"].shape
    (4, 7, 7, 7, 1)
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        size: int,
        batch_size: int,
        seed: int = 0,
        contrast: float = CONTRAST,
    ) -> None:
        self.images = [np.asarray(image, "float32") for image in images]
        self.size, self.contrast = int(size), float(contrast)
        for image in self.images:
            if min(image.shape) < size:
                raise ValueError(
                    f"images must have {size} voxels or more along each axis. "
                    f"Received: shape={image.shape}"
                )
            if not _shows(image, self.size, self.contrast):
                raise ValueError(
                    f"Some cube of each image must have a standard deviation above {contrast:g}. "
                    "Received: an image without one"
                )
        shape = (self.size,) * self.images[0].ndim
        arrays = {"images": Array((*shape, 1))}
        super().__init__(batch_size, seed, arrays, count=len(self.images))

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Batch ``step``."""
        rng = np.random.default_rng([self.seed, step])
        found = [self._cube(rng) for _ in range(self.batch_size)]
        return {"images": np.stack(found)[..., None]}

    def _cube(self, rng: np.random.Generator) -> np.ndarray:
        image = self.images[rng.integers(len(self.images))]
        while True:
            corner = [rng.integers(n - self.size + 1) for n in image.shape]
            cube = image[tuple(slice(c, c + self.size) for c in corner)]
            if cube.std() > self.contrast:
                return cube


def _shows(image: np.ndarray, size: int, contrast: float) -> bool:
    """Whether some cube has more contrast."""
    from scipy import ndimage

    values = image.astype("float64")
    mean, square = (ndimage.uniform_filter(power, size) for power in (values, values**2))
    # The filter is centred there: whole cubes only, none that the border was mirrored into.
    inside = tuple(slice(size // 2, n - (size - 1) // 2) for n in image.shape)
    return bool((square - mean**2)[inside].max() > contrast**2)
