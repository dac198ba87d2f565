"""Fusing two images into one with a network: the base of every model of the zoo that fuses."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tfreg import ops
from tfreg.colour import rgb_to_yuv, yuv_to_rgb
from tfreg.errors import InputError
from tfreg.image import Image
from tfreg.models.base import Model
from tfreg.registration.images import as_image, check_contrast, range_of


@dataclass(frozen=True, eq=False)
class Fusion:
    """Two aligned images as one.

    Attributes:
        fused: ``(*spatial,)`` or ``(batch, *spatial)`` float32, in [0, 1]; in colour with a last
            axis of red, green and blue.
        weight: without that axis, in [0, 1]: how much of the first image is in it.
        first, second: the images as they were fused, float32 in [0, 1]; of ``fused`` the shape, but
            for the axis of colours, which each has where its image is in colour.
        seconds: time of preprocessing and network; the first call for a shape includes compilation.
    """

    fused: np.ndarray
    weight: np.ndarray
    first: np.ndarray
    second: np.ndarray
    seconds: float


class FusionModel(Model):
    """A network that fuses: it weighs two aligned images against each other.

    A subclass defines ``fused``: two images ``(batch, *spatial, channels)`` in [0, 1], of one
    channel or, both in colour, of three, to the fused one and to the weight of the first, and says
    with ``call``, ``compute_loss`` and ``score`` how it is trained.

    Args:
        ndim: number of spatial axes, 2 or 3.
        kwargs: of :class:`tfreg.models.base.Model`, ``intensity_range`` among them.
    """

    task: ClassVar[str] = "fusion"

    def fused(self, first: Any, second: Any, **options: Any) -> tuple[Any, Any]:
        """The fused images, of the shape of the given, and weights ``(batch, *spatial, 1)``."""
        raise NotImplementedError

    def fuse(
        self,
        first: Any,
        second: Any,
        batch_size: int = 1,
        *,
        axis: int | None = None,
        first_range: Sequence[float] | None = None,
        second_range: Sequence[float] | None = None,
        channels_apart: bool = False,
        **options: Any,
    ) -> Fusion:
        """Fuses two images or two batches of them.

        Args:
            first: ``(*spatial,)``, or ``(batch, *spatial)`` or ``(batch, *spatial, 1)``, of any
                real dtype and intensity range; or a ``tfreg.Image``, as then is the second one, on
                the same grid. The answer is in arrays.
            second: of the same shape, aligned with the first one. Or in colour, such as PET and
                SPECT, with a last axis of red, green and blue in one unit: then its light is fused
                with the first image, and its colours stay.
            batch_size: pairs that go through the network together.
            axis: of two volumes and a network of 2-D images, the axis across the slices, which
                are fused one by one in the range of intensities of the whole volume.
            first_range: the intensities of the first image that are black and white, such as HU of
                a CT, or 0 and 255 of a picture; what is outside is cut off. ``None``: the preset's,
                or the darkest and the brightest voxel that is no outlier.
            second_range: the same of the second image.
            channels_apart: of two images in colour: red, green and blue are fused one by one, with
                the weight of their light.
            options: of this network, see its ``options``.

        Returns:
            :class:`Fusion`, of arrays in [0, 1].

        Raises:
            InputError: on shapes or grids that do not fit, two images in colour without
                ``channels_apart``, values that are not finite, an image of one value, or one whose
                values are all beside the range to look at.

        Example:

        >>> import zoo
        >>> from tfreg.data import brain_pairs
        >>> ct, mri, _ = brain_pairs.pairs("ct-mri", "test", "phantom")
        >>> some = slice(96, 160)
        >>> answer = zoo.load("fusion-cnn").fuse(ct[0, some, some], mri[0, some, some])
        >>> answer.fused.shape, answer.weight.shape
        ((64, 64), (64, 64))
        """
        begin = time.perf_counter()
        self.check_arguments(options)
        if batch_size < 1:
            raise InputError(f"batch_size must be positive. Received: batch_size={batch_size}")
        whole = axis is not None
        if isinstance(first, Image) or isinstance(second, Image):
            first, second = _on_one_grid(first, second, self.ndim + whole)
        shapes = np.shape(first), np.shape(second)
        coloured = _coloured(*shapes, self.ndim + whole, channels_apart)
        seen = []
        for name, values, colour, limits in (
            ("first", first, coloured[0], first_range),
            ("second", second, coloured[1], second_range),
        ):
            images = values if axis is None else self._slices(values, axis, colour)
            seen.append(self._seen(images, name, colour, limits, whole))
        one, other = seen
        colours = None
        if coloured == (False, True):
            colours = rgb_to_yuv(other)
            other = colours[..., :1].astype("float32")
        if not self.built:
            self.build()
        function = self.function(
            ("fuse", *sorted(options.items())),
            lambda: ops.graph(lambda a, b: self.fused(a, b, **options), self.variables),
        )
        fused, weight = self.in_batches(function, one, other, batch_size=batch_size)
        if colours is not None:
            fused = yuv_to_rgb(np.concatenate([fused, colours[..., 1:]], axis=-1))
        found = []
        for images in (np.clip(fused, 0, 1), weight, *seen):
            shown = images[..., 0] if images.shape[-1] == 1 else images
            if axis is not None:
                shown = np.moveaxis(shown, 0, axis)
            elif len(shapes[0]) == self.ndim + coloured[0]:
                shown = shown[0]
            found.append(shown.astype("float32"))
        return Fusion(*found, seconds=time.perf_counter() - begin)

    def _slices(self, values: Any, axis: int, coloured: bool) -> np.ndarray:
        """A volume as a batch of its slices."""
        array = np.asanyarray(values)
        if self.ndim != 2 or array.ndim != 3 + coloured or axis not in (0, 1, 2):
            raise InputError(
                "axis is 0, 1 or 2 of one volume, for a network of 2-D images. "
                f"Received: axis={axis}, shape={array.shape}, a network of {self.ndim}-D images"
            )
        return np.moveaxis(array, axis, 0)

    def _seen(
        self,
        values: Any,
        name: str,
        coloured: bool,
        limits: Sequence[float] | None,
        whole: bool,
    ) -> np.ndarray:
        """What the network sees of images, ``(batch, *spatial, channels)`` in [0, 1].

        Args:
            values: as they were given.
            name: what to call them in an error.
            coloured: whether the last axis is that of colours.
            limits: the intensities that are 0 and 1.
            whole: whether all have one range.
        """
        limits = range_of(f"{name}_range", limits) or self.intensity_range
        images = as_image(values, self.ndim, name, channels=coloured)
        self.check_size(images.shape[1:-1])
        for image in [images] if whole else images:
            if image.min() == image.max():
                raise InputError(
                    f"{name} must show something. Received: the value {image.min():g} everywhere"
                )
            check_contrast(name, image, limits)
        if limits is not None:
            low, high = limits
            return ((np.clip(images, low, high) - low) / (high - low)).astype("float32")
        return self.unit(images[None])[0] if whole else self.unit(images)


def _on_one_grid(first: Any, second: Any, axes: int) -> tuple[np.ndarray, np.ndarray]:
    """The arrays of two images in physical space, which are never a batch.

    Args:
        first, second: the images.
        axes: that each may have.
    """
    if not (isinstance(first, Image) and isinstance(second, Image)):
        kinds = " and ".join(type(image).__name__ for image in (first, second))
        raise InputError(f"Two arrays or two images in space are needed. Received: {kinds}")
    if not first.geometry.matches(second.geometry):
        raise InputError(
            "The images lie on different grids: register them first. "
            f"Received: {first.geometry} and {second.geometry}"
        )
    if first.geometry.ndim > axes:
        raise InputError(
            "A volume needs axis=0, 1 or 2, across its slices, for a network of 2-D images. "
            f"Received: {first.geometry}, axis=None"
        )
    return first.array, second.array


def _coloured(
    first: tuple[int, ...], second: tuple[int, ...], axes: int, apart: bool
) -> tuple[bool, bool]:
    """Which of two images are in colour.

    Args:
        first, second: their shapes.
        axes: of one grey image.
        apart: whether both may be.
    """
    both = first == second and len(first) in (axes + 1, axes + 2) and first[-1] == 3
    if apart:
        if not both:
            raise InputError(
                "channels_apart is for two images of one shape, with a last axis of red, green "
                f"and blue. Received: first {first}, second {second}"
            )
        return True, True
    if both:
        raise InputError(
            "Of two images in colour, red, green and blue are fused one by one: say so with "
            f"channels_apart=True. Received: first {first}, second {second}"
        )
    if first == second:
        return False, False
    if second == (*first, 3):
        return False, True
    if first == (*second, 3):
        raise InputError(
            f"The image in colour must be the second one. Received: first {first}, second {second}"
        )
    raise InputError(
        "first and second must have one shape: register them first. "
        f"Received: first {first}, second {second}"
    )
