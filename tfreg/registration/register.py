"""Registration without a network: a transform optimised on the pair at hand, coarse to fine."""

from collections.abc import Callable, Sequence
from typing import Any

from tfreg.registration import job, named
from tfreg.registration.answer import LevelReport, Registration
from tfreg.registration.instance.level import Regulariser
from tfreg.registration.instance.pyramid import Pyramid
from tfreg.registration.instance.similarity import Similarity
from tfreg.registration.space.physical import PhysicalRegistration


def register(
    fixed: Any,
    moving: Any,
    transform: str | Sequence[str] | None = None,
    *,
    settings: str | None = None,
    spacing: Sequence[float] | None = None,
    similarity: Similarity | None = None,
    regulariser: Regulariser = "bending",
    pyramid: str | Pyramid | Sequence[Pyramid] | None = None,
    fixed_mask: Any = None,
    moving_mask: Any = None,
    confine: bool | None = None,
    start: Any = None,
    initial: Any = "geometry",
    samples: int | None = None,
    seed: int = 0,
    ndim: int | None = None,
    channels: bool = False,
    progress: Callable[[LevelReport], Any] | None = None,
    symmetric: bool = False,
) -> Registration | PhysicalRegistration:
    """Finds the map that makes a moving image most similar to a fixed one.

    ``min_p -S(f(x), m(x + u_p(x))) + w R(p)`` by Adam, or of momenta by L-BFGS, level by level from
    coarse to fine, each level one compiled loop over the whole batch. Compiled functions are kept
    per shape: a second pair of the same size pays nothing.

    Args:
        fixed: one image ``(*spatial,)``; with ``ndim`` also a batch ``(batch, *spatial)``, of any
            real dtype and intensity range. Or an image in physical space, a ``tfreg.Image`` or a
            ``SimpleITK.Image``: then so are the masks, and the answer is in millimetres.
        moving: as ``fixed``; its spatial shape may differ, its voxels have the same size. In
            physical space any grid will do.
        transform: ``"translation"``, ``"rigid"``, ``"similarity"``, ``"affine"``, ``"bspline"``
            (cubic), ``"dense"`` (a displacement per voxel), ``"velocity"`` (stationary, cubic
            spline) or ``"lddmm"`` (the geodesic of a momentum), both paths of diffeomorphisms, see
            :meth:`Registration.at` and :attr:`Registration.path`; or several in sequence, such as
            ``["affine", "bspline"]``: each starts where the one before ended, displacements add
            up, the map of a velocity or a momentum is applied first. Default: ``"bspline"``, or
            what ``settings`` say.
        settings: a task, which says the transforms, the similarity, the weight of the regulariser
            and whether to ``confine`` where both masks are given: ``"lung-ct"``, ``"brain-mr"``,
            ``"cine"`` or ``"ct-mr"``, see :data:`tfreg.registration.TASKS`. What is given beside
            it counts in its place.
        spacing: size of a voxel per axis, in mm or any unit, array-axis order; default 1 each. Of
            arrays only, as ``start``, ``ndim`` and ``channels``.
        similarity: ``"ncc"``, ``"lncc"``, ``"mi"`` or ``"ngf"`` (different modalities; NGF as minus
            its distance), or ``"mse"`` (minus the MSE of intensities, both divided by the range of
            both), ``"lncc5"`` (windows of 5 voxels in place of 9) or ``"mind"`` (minus the mean
            squared difference of self-similarity contexts, :func:`tfreg.features.mind_ssc`, of the
            images at full resolution, averaged to each level: 0 of equal images, -1 of white
            noise; what the answer says of it is on the grid of the finest level). Of an image with
            a mask the range is that within it. Default: ``"ncc"``. Or
            several in one loop, names and weights ``{"lncc": 1, "mind": 0.5}``: their mean with
            these weights, each in units of what white noise loses to equal images (1 of ncc, lncc
            and mind, 1/6 of mse, 0.15 and in 3-D 0.172 of ngf; mi counts in nats). Or a
            function of one's own in ``keras.ops``, ``(fixed, moved, mask) -> (batch,)``, higher is
            better, which becomes part of the compiled loop: it sees batches ``(batch, *spatial,
            channels)`` in their own intensities, on the grid of the level, and weights ``(batch,
            *spatial, 1)`` or ``None``. What was compiled is kept for that very function: define it
            once. Or :class:`Features`, what a network or another function says of every voxel.
        regulariser: ``"bending"``, ``"diffusion"`` or ``None``; of control points in units of their
            cells; an LDDMM has the energy of its path in the place of either. Or a function of
            one's own, ``(displacement) -> (batch,)``, of the whole displacement ``(batch,
            *spatial, ndim)`` in voxels of the level, such as ``tfreg.losses.folding_penalty``.
            Linear transforms have none.
        pyramid: ``"fast"``, ``"default"`` or ``"accurate"``, or a :class:`Pyramid`; for a sequence
            of transforms one for all or one per transform. Default: ``"default"``.
        fixed_mask: weights ``>= 0`` of the shape of ``fixed``: where the similarity looks.
        moving_mask: the same for ``moving``; then what lies outside the moving image does not count
            either. Without it, the moving image continues as at its border.
        confine: for an organ that slides along what is about it: nothing outside both masks is
            seen, see :func:`confine`. Default: no, or what ``settings`` say.
        start: where to start: a displacement ``(*spatial, ndim)`` in voxels (of a batch with its
            axis), a matrix ``(ndim, ndim + 1)`` from fixed to moving voxels, or a `Registration`,
            such as a network's answer. Default: no displacement.
        initial: the alignment of images in physical space before that, and of those only:
            ``"geometry"`` (the headers are trusted), ``"centre"`` (of the fields of view),
            ``"mass"`` (centres of both masks where both are given, else of mass), ``"search"`` (the
            best of all rotations and translations, see ``answer.search``), or a transform from
            fixed to moving points.
        samples: number of voxels of the fixed image that the similarity looks at per level, drawn
            at random once, within the mask if there is one; less time on large volumes. ``None``
            for all. For ncc, mind, mi and mse.
        seed: seed of that draw. On one machine, repeated runs are equal to the bit.
        ndim: 2 or 3; needed for a batch only.
        channels: whether arrays have a last axis of channels, such as feature maps: ``(*spatial,
            channels)``, or with ``ndim`` ``(batch, *spatial, channels)``. All similarities but mi
            and mind take several.
        progress: called with a :class:`LevelReport` after each level; its time is not charged.
        symmetric: of a velocity, whether the fixed image under the inverse map is compared with the
            moving one as well, so that neither of them is preferred; twice the time and more.

    Returns:
        The answer, a :class:`PhysicalRegistration` for images in physical space. A transform with
        which the similarity got worse is left out, and
        ``answer.accepted`` says so; where it is the only one, the answer is the start.

    Raises:
        InputError: on input that cannot be registered: shapes that do not fit, values that are not
            finite, constant images, masks without a voxel, a start without overlap, images smaller
            than a level can be, or not enough memory.

    Example:

    >>> import numpy as np
    >>> from tfreg.registration import register
    >>> y, x = np.mgrid[:32, :32]
    >>> disc = ((y - 15) ** 2 + (x - 15) ** 2 < 60).astype("float32")
    >>> answer = register(disc, np.roll(disc, 2, axis=1), "translation")
    >>> [round(float(v), 1) + 0.0 for v in answer.displacement[16, 16]]
    [0.0, 2.0]

    Feature maps, here the image and its slopes, with a similarity of one's own:

    >>> from keras import ops
    >>> def nearness(fixed, moved, mask):
    ...     return -ops.mean((fixed - moved) ** 2, axis=(1, 2, 3))
    >>> features = np.stack([disc, *np.gradient(disc)], axis=-1)
    >>> rolled = np.roll(features, 2, axis=1)
    >>> answer = register(features, rolled, "rigid", similarity=nearness, channels=True)
    >>> answer.similarity, answer.moved.shape, round(float(answer.displacement[16, 16, 1]), 1)
    ('nearness', (32, 32, 3), 2.0)

    Reference:
        Klein, Staring and Pluim, Evaluation of optimization methods for nonrigid medical image
        registration using mutual information and B-splines, IEEE TIP 16(12), 2007.
    """
    masks = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
    method = named.optimisation(
        settings,
        transform=transform,
        similarity=similarity,
        regulariser=regulariser,
        pyramid=pyramid,
        confine=confine,
        samples=samples,
        seed=seed,
        progress=progress,
        masks=[name for name, mask in masks.items() if mask is not None],
        symmetric=symmetric,
    )
    return job.register(
        method,
        fixed,
        moving,
        initial=initial,
        **masks,
        spacing=spacing,
        start=start,
        ndim=ndim,
        channels=channels,
    )
