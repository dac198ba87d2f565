"""A regressor of a skull's deformation from a lateral X-ray, with iterative refinement.

Inspired by:
    Y. Pei, Y. Zhang, H. Qin, G. Ma, Y. Guo, T. Xu and H. Zha, Non-rigid craniofacial 2D-3D
    registration using CNN-based regression, DLMIA 2017, LNCS 10553,
    doi:10.1007/978-3-319-67558-9_14.

Only its abstract is known to us: a CNN takes a pair of the current DRR and the X-ray and answers
the deformation parameters between them; short connections inside the blocks of convolutions and
long ones that join feature maps of several scales; refinement with a new DRR each time. All numbers
are ours.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, frame_of
from tfreg.image import Image
from tfreg.models import Pose, PoseModel
from zoo.craniofacial.deformation import Subspace
from zoo.craniofacial.descent import descended


@dataclass(frozen=True, eq=False)
class Deformation(Pose):
    """How a volume is deformed in an X-ray; its pose is the initial one.

    Attributes:
        coefficients: ``(k,)`` of the components of the sub-space.
        displacement: ``(z, y, x, 3)`` in voxels: the deformed volume at x is the volume at x + u.
        volume: the deformed one.
    """

    coefficients: np.ndarray
    displacement: np.ndarray


@keras.saving.register_keras_serializable(package="tfreg")
class Craniofacial(PoseModel):
    """Coefficients of a deformation from the current DRR and an X-ray.

    Args:
        control: ``(k, *nodes, 3)`` control displacements of the sub-space, in mm.
        shape, spacing: of the volume that it deforms, z, y, x; mm.
        camera: of the X-rays, a :class:`tfreg.geometry.ConeBeam`, or its ``to_dict()``.
        view: ``(6,)``, the pose at which they are taken: a cephalostat holds the head.
        kernels: of the four stages.
        kwargs: of ``tfreg.models.PoseModel``.

    Input shape:
        ``(batch, rows, columns, 2)``: DRR and X-ray, each of zero mean and unit variance.

    Output shape:
        ``(batch, k)``: what the coefficients lack.

    ``register`` takes two options: ``iterations`` (3), and ``refine``: ``"gauss-newton"`` goes on
    with a descent on gradient images through the deformed volume's DRR, from zero where
    ``iterations`` is 0.

    Raises:
        ValueError: on a sub-space that is none.

    Example:

    >>> import numpy as np
    >>> from tfreg.geometry import ConeBeam
    >>> from zoo.craniofacial.model import Craniofacial
    >>> camera, view = ConeBeam(1600.0, (64, 64), 2.0), (0, 0, 1500, 0, 0, 90)
    >>> model = Craniofacial(np.zeros((5, 3, 4, 4, 3)), (20, 30, 30), (2.0, 2.0, 2.0), camera, view)
    >>> tuple(model(np.zeros((2, 64, 64, 2), "float32")).shape)
    (2, 5)
    """

    options: ClassVar[tuple[str, ...]] = ("iterations", "refine")
    metric: ClassVar[str] = "error"
    answer: ClassVar[type[Pose]] = Deformation
    rigid: ClassVar[bool] = False

    def __init__(
        self,
        control: Any,
        shape: Sequence[int],
        spacing: Sequence[float],
        camera: ConeBeam | dict[str, Any],
        view: Sequence[float],
        kernels: Sequence[int] = (16, 32, 48, 64),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        found = np.asarray(control, "float32")
        if found.ndim != 5 or found.shape[-1] != 3 or len(shape) != 3 or len(spacing) != 3:
            raise ValueError(
                "control must be (k, *nodes, 3), shape and spacing z, y, x. "
                f"Received: control.shape={found.shape}, shape={shape}, spacing={spacing}"
            )
        self.subspace = Subspace(
            found, tuple(int(n) for n in shape), tuple(float(step) for step in spacing)
        )
        self.camera = ConeBeam.from_dict(camera) if isinstance(camera, dict) else camera
        self.view = tuple(float(value) for value in view)
        whole = 2 ** len(kernels)
        if any(n % whole for n in self.camera.shape) or len(self.view) != 6:
            raise ValueError(
                f"A camera must have multiples of {whole} pixels, and a view six numbers. "
                f"Received: {self.camera.shape} pixels, view={view}"
            )
        self.kernels = tuple(int(n) for n in kernels)
        layers = keras.layers
        self.entries = [
            layers.Conv2D(n, 3, 2, padding="same", activation="relu", name=f"entry_{k}")
            for k, n in enumerate(self.kernels)
        ]
        self.blocks = [
            [
                layers.Conv2D(n, 3, padding="same", activation="relu", name=f"block_{k}_1"),
                layers.Conv2D(n, 3, padding="same", name=f"block_{k}_2"),
            ]
            for k, n in enumerate(self.kernels)
        ]
        self.pools = [layers.AveragePooling2D(2**k) for k in reversed(range(len(self.kernels)))]
        self.squeeze = layers.Conv2D(16, 1, activation="relu", name="squeeze")
        self.hidden = layers.Dense(128, "relu", name="hidden")
        self.outputs_layer = layers.Dense(len(found), dtype="float32", name="coefficients")
        self.error_tracker = keras.metrics.Mean(name="error")

    def build(self, input_shape: Any = None) -> None:
        height, width = self.camera.shape
        channels = 2
        for entry, block, kernels in zip(self.entries, self.blocks, self.kernels, strict=True):
            entry.build((None, None, None, channels))
            for layer in block:
                layer.build((None, None, None, kernels))
            channels = kernels
            height, width = -(-height // 2), -(-width // 2)
        self.squeeze.build((None, None, None, sum(self.kernels)))
        self.hidden.build((None, height * width * 16))
        self.outputs_layer.build((None, 128))
        self.built = True

    def call(self, images: Any, training: bool | None = None) -> Any:
        maps, x = [], images
        for entry, (first, second) in zip(self.entries, self.blocks, strict=True):
            x = entry(x)
            x = keras_ops.relu(x + second(first(x)))  # the short connection
            maps.append(x)
        # The long connections: all scales side by side, at the coarsest.
        joined = [pool(part) for pool, part in zip(self.pools, maps, strict=True)]
        x = self.squeeze(keras_ops.concatenate(joined, axis=-1))
        x = keras_ops.reshape(x, (-1, int(np.prod(x.shape[1:]))))
        return self.outputs_layer(self.hidden(x))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Mean square of the coefficients' errors."""
        square = keras_ops.mean((keras_ops.cast(y, "float32") - y_pred) ** 2, axis=-1)
        self.error_tracker.update_state(keras_ops.mean(keras_ops.sqrt(square)))
        return keras_ops.mean(square)

    def pose(
        self, volume: Image, xray: np.ndarray, camera: ConeBeam, initial: np.ndarray, **options: Any
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """The initial pose, with the deformation."""
        self._check_place(volume, camera, initial)
        scene = self.scene(volume)
        seen = keras_ops.convert_to_tensor(np.asarray(xray, "float32")[None, ..., None])
        coefficients = keras_ops.zeros((1, len(self.subspace.control)))
        for _ in range(options.get("iterations", 3)):
            coefficients = self._step()(*scene, seen, coefficients)
        found = keras_ops.convert_to_numpy(coefficients)
        if options.get("refine") is not None:
            found = descended(scene, np.asarray(seen), found)
        field = displacement_of(self.fields, keras_ops.convert_to_tensor(found))
        displacement = keras_ops.convert_to_numpy(field)[0]
        voxels = np.asarray(volume.array, "float32")[None, ..., None]
        moved = ops.resample(voxels, field)
        deformed = Image(keras_ops.convert_to_numpy(moved)[0, ..., 0], volume.geometry)
        more = {"coefficients": found[0].astype("float64"), "displacement": displacement}
        return initial[None], {**more, "volume": deformed}

    @functools.cached_property
    def fields(self) -> Any:
        """Tensor ``(k, z, y, x, 3)``: the components of the sub-space, in voxels."""
        return keras_ops.convert_to_tensor(self.subspace.fields)

    def scene(self, volume: Image) -> tuple[Any, ...]:
        """Attenuation, components, and the rays' source and directions in voxels, as tensors."""
        voxels = self.attenuation(np.asarray(volume.array, "float32"))[None, ..., None]
        start, rays = self.camera.rays()
        parts = (np.array([self.view]), frame_of(volume.geometry), start, rays[None])
        bundle = ops.pose_rays(*(np.asarray(part, "float32") for part in parts))
        return keras_ops.convert_to_tensor(voxels), self.fields, *bundle

    def _check_place(self, volume: Image, camera: ConeBeam, pose: np.ndarray) -> None:
        """Raises ``InputError`` on another volume, camera or pose than those trained with."""
        known, spacing = self.subspace, volume.geometry.spacing[::-1]
        fits = volume.array.shape == known.shape and np.allclose(spacing, known.spacing, rtol=1e-3)
        if not fits:
            raise InputError(
                f"This network deforms volumes of {known.shape} voxels of {known.spacing} mm. "
                f"Received: {volume.array.shape}, {spacing}"
            )
        stated, own = (list(one.to_dict().values())[:4] for one in (camera, self.camera))
        if not all(np.allclose(*pair, rtol=1e-4) for pair in zip(stated, own, strict=True)):
            raise InputError(f"This network was trained with {self.camera}. Received: {camera}")
        if not np.allclose(pose, self.view, atol=1e-3):
            raise InputError(
                f"This network was trained at one pose, {list(self.view)}. "
                f"Received: {pose.tolist()}"
            )

    def _step(self) -> Callable:
        def make() -> Callable:
            def better(
                volume: Any, fields: Any, source: Any, direction: Any, xray: Any, found: Any
            ) -> Any:
                image = ops.project(deformed_volume(volume, fields, found), source, direction)
                pair = [standardised(image), standardised(xray)]
                return found + self(keras_ops.concatenate(pair, axis=-1), training=False)

            return ops.graph(better, self.variables)

        return self.function(("step", keras.config.backend()), make)

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """Root mean square of the coefficients' errors after one pass, of each image."""
        found = self.predict(inputs, batch_size=batch_size, verbose=0)
        return np.sqrt(((found - np.asarray(targets)) ** 2).mean(axis=1))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "control": self.subspace.control.round(4).astype("float64").tolist(),
            "shape": self.subspace.shape,
            "spacing": self.subspace.spacing,
            "camera": self.camera.to_dict(),
            "view": self.view,
            "kernels": self.kernels,
        }


def deformed_volume(volume: Any, fields: Any, coefficients: Any) -> Any:
    """``V(x + sum_k c_k phi_k(x))``.

    Args:
        volume: tensor ``(1, z, y, x, 1)``.
        fields: tensor ``(k, z, y, x, 3)`` in voxels.
        coefficients: tensor ``(batch, k)``.
    """
    count = coefficients.shape[0]
    displacement = displacement_of(fields, coefficients)
    return ops.resample(keras_ops.repeat(volume, count, axis=0), displacement)


def displacement_of(fields: Any, coefficients: Any) -> Any:
    """``sum_k c_k phi_k``, ``(batch, z, y, x, 3)``, of arguments as :func:`deformed_volume`'s."""
    shape = tuple(fields.shape[1:])
    flat = keras_ops.reshape(fields, (fields.shape[0], -1))
    return keras_ops.reshape(keras_ops.matmul(coefficients, flat), (-1, *shape))


def standardised(images: Any) -> Any:
    """Images ``(batch, rows, columns, 1)`` of zero mean and unit variance each."""
    axes = (1, 2, 3)
    images = images - keras_ops.mean(images, axis=axes, keepdims=True)
    square = keras_ops.mean(images * images, axis=axes, keepdims=True)
    return images / keras_ops.sqrt(square + 1e-12)
