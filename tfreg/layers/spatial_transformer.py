"""The spatial transformer as a layer: it finds a transform, and puts its input straight by it."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops as keras_ops

from tfreg import ops
from tfreg.ops.interpolation import INTERPOLATIONS
from tfreg.ops.linear import check_shape
from tfreg.ops.spatial import TRANSFORMS


@keras.saving.register_keras_serializable(package="tfreg")
class SpatialTransformer(keras.layers.Layer):
    """Warps its input by a transform that a localisation network finds in it.

    The network answers features of any kind; the layer's own last layer makes the transform's
    numbers of them, and begins with zeros: whatever the network, training starts at the exact
    identity. Outside the input are zeros, to which its border falls within one voxel, as in the
    paper; :mod:`tfreg.ops.spatial` says what keeps the transform on the image.

    Args:
        localisation: a layer or model that takes the input and answers ``(batch, ...)``, all of
            known size; it learns with the rest.
        transform: ``"translation"``, ``"rigid"``, ``"similarity"``, ``"affine"``, ``"projective"``
            (2-D), ``"attention"`` or ``"tps"``, a thin-plate spline.
        output_shape: spatial shape of the output, over which the identity stretches the input;
            None: that of the input.
        points: control points of a thin-plate spline per axis.
        interpolation: ``"linear"``, ``"cubic"`` or ``"catmull-rom"``; ``"nearest"``, through which
            no gradient flows to the network.

    Input shape:
        ``(batch, *spatial, channels)``, 2-D or 3-D, of known size.

    Output shape:
        ``(batch, *output_shape, channels)``, in the dtype of the input.

    Raises:
        ValueError: at construction, on an unknown option or one without effect; when built, on a
            size that is not known.

    Example: dots anywhere are moved to the middle, since that is all that the last layer can see.

    >>> import keras, numpy as np
    >>> from tfreg.layers.spatial_transformer import SpatialTransformer
    >>> keras.utils.set_random_seed(0)
    >>> network = [keras.layers.Flatten(), keras.layers.Dense(32, "relu")]
    >>> transformer = SpatialTransformer(keras.Sequential(network), "translation")
    >>> model = keras.Sequential([keras.Input((9, 9, 1)), transformer])
    >>> model.compile("adam", "mse")
    >>> places = np.random.default_rng(0).uniform(2, 6, (256, 2, 1, 1))
    >>> rows, columns = np.mgrid[:9, :9]
    >>> dots = np.exp(-((rows - places[:, 0]) ** 2 + (columns - places[:, 1]) ** 2) / 4)[..., None]
    >>> middle = np.exp(-((rows - 4) ** 2 + (columns - 4) ** 2) / 4)[None, ..., None].repeat(256, 0)
    >>> losses = model.fit(dots, middle, epochs=12, batch_size=16, verbose=0).history["loss"]
    >>> losses[-1] < 0.2 * losses[0]
    True

    Reference:
        Jaderberg et al., Spatial transformer networks, NIPS 2015.
    """

    def __init__(
        self,
        localisation: keras.layers.Layer,
        transform: str = "affine",
        output_shape: Sequence[int] | None = None,
        points: int = 4,
        interpolation: str = "linear",
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # coordinates stay float32
        if not isinstance(localisation, keras.layers.Layer):
            raise ValueError(
                f"localisation must be a layer or a model. Received: localisation={localisation}"
            )
        if transform not in TRANSFORMS:
            raise ValueError(
                f"transform must be one of {TRANSFORMS}. Received: transform={transform}"
            )
        if points != 4 and transform != "tps":
            raise ValueError(
                f'points has no effect but with transform="tps". Received: points={points}'
            )
        if interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation must be one of {INTERPOLATIONS}. Received: {interpolation}"
            )
        self.localisation = localisation
        self.transform = transform
        self.spatial_shape = None if output_shape is None else check_shape(output_shape)
        self.points = points
        self.interpolation = interpolation

    def build(self, input_shape: Any) -> None:
        moving_shape = tuple(input_shape[1:-1])
        if len(moving_shape) not in (2, 3) or None in moving_shape:
            raise ValueError(
                "The input must be (batch, *spatial, channels), 2-D or 3-D, of known size. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        ndim = len(moving_shape)
        count = ops.spatial_parameters(self.transform, ndim, self.points)
        self.moving_shape = check_shape(moving_shape)
        self.fixed_shape = check_shape(self.spatial_shape or moving_shape, ndim)
        if not self.localisation.built:
            self.localisation.build((None, *input_shape[1:]))
        features = tuple(self.localisation.compute_output_shape((None, *input_shape[1:])))
        if len(features) < 2 or None in features[1:]:
            raise ValueError(
                "localisation must answer (batch, ...), all of known size. "
                f"Received: {features} of input {tuple(input_shape)}"
            )
        self.features = math.prod(features[1:])
        self.theta = keras.layers.Dense(
            count, kernel_initializer="zeros", dtype="float32", name="theta"
        )
        self.theta.build((None, self.features))
        self.built = True

    def call(self, images: Any, training: bool | None = None) -> Any:
        return self.warp(images, self.displacement(images, training))

    def displacement(self, images: Any, training: bool | None = None) -> Any:
        """The transform found: where each voxel of the output is taken from, relative to its own.

        Args:
            images: the input.
            training: as in ``call``.

        Returns:
            Tensor ``(batch, *output_shape, ndim)`` in voxels of the input, array-axis order.
        """
        options = {} if training is None else {"training": training}
        found = self.localisation(images, **options)
        numbers = self.theta(keras_ops.reshape(found, (-1, self.features)))
        return ops.spatial_displacement(
            numbers, self.transform, self.fixed_shape, self.moving_shape, self.points
        )

    def warp(self, images: Any, displacement: Any) -> Any:
        """The input seen through a displacement, with zeros outside.

        Args:
            images: the input, or something else on its grid.
            displacement: of :meth:`displacement`.

        Returns:
            Tensor ``(batch, *output_shape, channels)``.
        """
        frame = [[0, 0], *[[1, 1]] * len(self.moving_shape), [0, 0]]
        framed = keras_ops.pad(images, frame)
        return ops.resample(framed, displacement + 1, self.interpolation)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        spatial = self.spatial_shape or tuple(input_shape[1:-1])
        return (input_shape[0], *spatial, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "localisation": keras.saving.serialize_keras_object(self.localisation),
            "transform": self.transform,
            "output_shape": self.spatial_shape and list(self.spatial_shape),
            "points": self.points,
            "interpolation": self.interpolation,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SpatialTransformer":
        localisation = keras.saving.deserialize_keras_object(config["localisation"])
        return cls(**{**config, "localisation": localisation})
