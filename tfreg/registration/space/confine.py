"""Registering an organ that slides along what is about it, such as a lung."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from tfreg.errors import InputError
from tfreg.masked import refuse_masked
from tfreg.registration.images import Pair


class Confined(NamedTuple):
    """Images that show one organ.

    Attributes:
        fixed, moving: ``(*spatial)`` float32, of one intensity outside the organ.
        fixed_mask: ``(*spatial)`` uint8: the organ and a rim about it.
    """

    fixed: np.ndarray
    moving: np.ndarray
    fixed_mask: np.ndarray


def confine(fixed: Any, moving: Any, fixed_mask: Any, moving_mask: Any, rim: int = 2) -> Confined:
    """Shows nothing but an organ: ``f(x)`` where its mask is, one intensity elsewhere.

    The edge of the organ then says how far it is from there, and what is beyond it, which may move
    otherwise along that edge, says nothing. The intensity outside is the median of the rim about
    the organ in the fixed image.

    Args:
        fixed, moving: one image each, ``(*spatial)``.
        fixed_mask, moving_mask: of the same shapes; the organ is where they are above 0.
        rim: voxels that the similarity is to look beyond the organ, 1 or more.

    Returns:
        What :func:`tfreg.registration.register` takes as ``fixed``, ``moving`` and ``fixed_mask``.

    Raises:
        InputError: on shapes that do not fit, an empty mask, or a rim that is not positive.

    Example:

    >>> import numpy as np
    >>> from tfreg.registration import confine
    >>> image, mask = np.arange(20.0).reshape(4, 5), np.zeros((4, 5))
    >>> mask[1:3, 1:3] = 1
    >>> confine(image, image, mask, mask, rim=1).fixed[:, 2].tolist()
    [9.0, 7.0, 12.0, 9.0]
    """
    sides = {"fixed": (fixed, fixed_mask), "moving": (moving, moving_mask)}
    images, masks = {}, {}
    for name, (image, mask) in sides.items():
        refuse_masked(image, name)
        refuse_masked(mask, f"{name}_mask")
        images[name], masks[name] = np.asarray(image, "float32"), np.asarray(mask) > 0
        if images[name].shape != masks[name].shape:
            raise InputError(
                f"{name}_mask must have the shape of its image, {images[name].shape}. "
                f"Received: {masks[name].shape}"
            )
        if not masks[name].any():
            raise InputError(f"{name}_mask must mark a voxel. Received: an empty mask")
    if isinstance(rim, bool) or not isinstance(rim, (int, np.integer)) or rim < 1:
        raise InputError(f"rim must be 1 or more voxels. Received: rim={rim}")
    grown = ndimage.binary_dilation(masks["fixed"], iterations=int(rim))
    about = images["fixed"][grown & ~masks["fixed"]]
    outside = np.float32(np.median(about)) if about.size else images["fixed"].min()
    return Confined(
        *(np.where(masks[name], images[name], outside) for name in ("fixed", "moving")),
        grown.astype("uint8"),
    )


def confined(pair: Pair) -> Pair:
    """A batch as :func:`confine` shows each of its pairs.

    Raises:
        InputError: where a mask is missing, or on images of several channels.
    """
    if pair.fixed_mask is None or pair.moving_mask is None:
        missing = "fixed_mask" if pair.fixed_mask is None else "moving_mask"
        raise InputError(f"confine needs the masks of both images. Received: no {missing}")
    if pair.fixed.shape[-1] != 1:
        raise InputError(
            f"confine takes images of one channel. Received: {pair.fixed.shape[-1]} channels"
        )
    shown = [
        confine(*(array[index, ..., 0] for array in pair.arrays.values()))
        for index in range(len(pair.fixed))
    ]
    fixed, moving, mask = (np.stack(part)[..., None] for part in zip(*shown, strict=True))
    return replace(
        pair, fixed=fixed, moving=moving, fixed_mask=mask.astype("float32"), moving_mask=None
    )
