"""ssEMnet: serial-section electron microscopy image registration with features of an autoencoder.

Reference:
    I. Yoo, D. G. C. Hildebrand, W. F. Tobin, W.-C. A. Lee and W.-K. Jeong, DLMIA 2017, LNCS 10553,
    pp. 249-257, arXiv:1707.07833.

The file follows the paper: the convolutional autoencoder (equations 1 to 3), which is trained and
then frozen, and the vector map, which is optimised for each pair (4) or section (5). What the paper
leaves open is listed in README.md.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import losses, ops
from tfreg.errors import InputError
from tfreg.layers import Convolution2D
from tfreg.models.registration import RegistrationModel
from tfreg.ops.precision import at_least_float32
from tfreg.registration.answer import Estimate
from tfreg.registration.images import Pair
from tfreg.registration.instance.adam import minimiser
from tfreg.registration.instance.arguments import mask_of
from tfreg.serial import Alignment, align, sections_by
from zoo.ssemnet.energy import of_features, of_intensities
from zoo.ssemnet.maps import dense, finer, grid_of
from zoo.ssemnet.scheme import Scheme, scheme_of
from zoo.ssemnet.similarity import averaged


def through(layers: Iterable[keras.layers.Layer], values: Any) -> Any:
    """Values after layers, one after the other."""
    for layer in layers:
        values = layer(values)
    return values


@keras.saving.register_keras_serializable(package="tfreg")
class SsEMnet(RegistrationModel):
    """An autoencoder of sections, and the vector map that makes their features agree.

    No network predicts the map: registering is optimising it, the encoder within the loop. Sections
    may have any size from 16 px on; what does not fill a pixel of the code at the far borders is
    not compared. Masks of :meth:`register` say what else is not.

    Args:
        kernels: of the convolutions at each resolution, each of which is half the one before.
        convolutions: how many there are at each.
        code: channels of the code, at half the last resolution.
        decay: the weight lambda of the squares of all weights in equation (3).
        scheme: ``"paper"``, ``"plus"`` (ours), or the values of a
            :class:`zoo.ssemnet.scheme.Scheme`.
        kwargs: of :class:`tfreg.models.registration.RegistrationModel`.

    Raises:
        ValueError: on kernels and convolutions that do not fit together.
        InputError: on a scheme that cannot be.

    Example:

    >>> from zoo.ssemnet.model import SsEMnet
    >>> model = SsEMnet()
    >>> model.build()
    >>> tuple(model.encoded(np.zeros((1, 64, 64, 1), "float32")).shape)
    (1, 8, 8, 64)
    """

    sees_masks = True

    def __init__(
        self,
        kernels: Sequence[int] = (8, 16, 32),
        convolutions: Sequence[int] = (1, 2, 2),
        code: int = 64,
        decay: float = 1e-6,
        scheme: str | Mapping[str, Any] | Scheme = "paper",
        **kwargs: Any,
    ) -> None:
        super().__init__(ndim=2, **kwargs)
        self.kernels, self.convolutions = tuple(kernels), tuple(convolutions)
        counts = (*self.kernels, *self.convolutions, code)
        if len(self.kernels) != len(self.convolutions) or not counts or min(counts) < 1:
            raise ValueError(
                "kernels and convolutions must be as many positive integers, and code one. "
                f"Received: {kernels}, {convolutions}, code={code}"
            )
        if not decay >= 0:
            raise ValueError(f"decay must be 0 or more. Received: decay={decay}")
        self.code = code
        self.decay = decay
        self.scheme = scheme_of(scheme)
        self.factor = 2 ** len(self.kernels)  # px of a pixel of the code

        # (1) h = f(x): convolutions with ReLU; in Fig. 2 the resolution falls three times.
        widths = zip(self.kernels, self.convolutions, strict=True)
        blocks = [
            [(width, f"{level}_{k}") for k in range(count)]
            for level, (width, count) in enumerate(widths)
        ]
        self.encoder = [_convolution(w, f"encoder_{name}") for block in blocks for w, name in block]
        self.encoder.append(_convolution(code, "code"))
        # (2) y = g(h): the mirror of it; the last layer is linear.
        turned = [one for block in reversed(blocks) for one in block]
        self.decoder = [_convolution(w, f"decoder_{name}") for w, name in turned]
        self.decoder.append(Convolution2D(1, name="output"))

    def build(self, input_shape: Any = None) -> None:
        channels = 1
        for layer in (*self.encoder, *self.decoder):
            layer.build((None, None, None, channels))
            channels = layer.filters
        self.built = True

    def encoded(self, images: Any, through: Callable = through) -> Any:
        """Equation (1): the features of images.

        Args:
            images: ``(batch, height, width, 1)`` in [0, 1].
            through: sends values through layers, one after the other.

        Returns:
            ``(batch, height // factor, width // factor, code)``.
        """
        layers = iter(self.encoder)
        height, width = (n // self.factor * self.factor for n in images.shape[1:3])
        features = images[:, :height, :width]
        for count in self.convolutions:
            features = averaged(through(itertools.islice(layers, count), features), 2)
        return through(layers, features)

    def decoded(self, code: Any, through: Callable = through) -> Any:
        """Equation (2): images of features."""
        layers = iter(self.decoder)
        for count in reversed(self.convolutions):
            code = through(itertools.islice(layers, count), _doubled(code))
        return through(layers, code)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Registers a pair ``{"fixed", "moving"}``; of images alone, on which it is trained, the
        reconstruction."""
        if isinstance(inputs, dict):
            return super().call(inputs, training)
        return self.decoded(self.encoded(inputs))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Equation (3), the squares as means over pixels: the rate does not depend on the size."""
        x, y_pred = at_least_float32(x), at_least_float32(y_pred)
        self.ncc_tracker.update_state(losses.ncc(x, y_pred))
        weights = sum(keras_ops.sum(keras_ops.square(v)) for v in self.trainable_variables)
        return keras_ops.mean(keras_ops.square(x - y_pred)) + self.decay * weights

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """NCC of each image and its reconstruction."""
        found = self.predict(inputs, batch_size=batch_size, verbose=0)
        return keras_ops.convert_to_numpy(losses.ncc(inputs, found))

    def parameters(self, fixed: Any, moving: Any, training: bool | None = None) -> Any:
        """The finest vector map ``(batch, rows, columns, 2)`` in px, after all steps.

        Args:
            fixed: ``(batch, height, width, neighbours)``: the sections that are registered onto,
                one for equation (4), several for (5), which count alike.
            moving: ``(batch, height, width, 1)``.
        """
        fixed, moving = at_least_float32(fixed), at_least_float32(moving)
        weights = np.full(fixed.shape[-1], 1 / fixed.shape[-1], "float32")
        everywhere = keras_ops.ones_like(moving)
        return self._optimised(fixed, moving, weights, everywhere, everywhere)

    def displacement(
        self, parameters: Any, shape: Sequence[int], moving_shape: Sequence[int] | None = None
    ) -> Any:
        """The vector map interpolated to every pixel."""
        return dense(parameters, shape, self.scheme.spacings[-1], self.scheme.interpolation)

    def answer(self, pair: Pair, **options: Any) -> Estimate:
        """Optimises the map of each pair."""
        fixed, moving = self.unit(pair.fixed), self.unit(pair.moving)
        masks = [
            np.ones_like(image) if mask is None else mask
            for image, mask in ((fixed, pair.fixed_mask), (moving, pair.moving_mask))
        ]
        return self.applied(self._optimised(fixed, moving, np.ones(1, "float32"), *masks), pair)

    def align_to(
        self,
        neighbours: Any,
        moving: Any,
        weights: Sequence[float] | None = None,
        fixed_mask: Any = None,
        moving_mask: Any = None,
    ) -> np.ndarray:
        """Equation (5): registers one section onto several at once.

        Args:
            neighbours: ``(n, height, width)``, sections that are aligned already.
            moving: ``(height, width)``.
            weights: of the neighbours; ``None``: they count alike.
            fixed_mask, moving_mask: ``(height, width)``, 0 where what the neighbours, or moving,
                show there does not count; ``None``: all counts.

        Returns:
            The displacement ``(height, width, 2)`` in px: ``moving(x + u(x))`` is aligned.

        Raises:
            InputError: on sections or masks of other shapes, or weights that are not as many.
        """
        fixed, other = self.prepared(neighbours, "neighbours"), self.prepared(moving, "moving")
        if fixed.shape[1:] != other.shape[1:] or len(other) != 1:
            raise InputError(
                "neighbours must be (n, height, width) and moving (height, width). "
                f"Received: {np.shape(neighbours)} and {np.shape(moving)}"
            )
        given = np.ones(len(fixed)) if weights is None else np.asarray(weights, "float64")
        if given.shape != (len(fixed),) or not (given >= 0).all() or not given.sum() > 0:
            raise InputError(
                f"weights must be {len(fixed)} numbers, 0 or more, not all 0. Received: {weights}"
            )
        if not self.built:
            self.build()
        references = np.moveaxis(fixed[..., 0], 0, -1)[None]
        share = (given / given.sum()).astype("float32")
        masks = [
            np.ones_like(other) if mask is None else mask_of(mask, name, other, self.ndim)
            for mask, name in ((fixed_mask, "fixed_mask"), (moving_mask, "moving_mask"))
        ]
        found = self._optimised(references, other, share, *masks)
        return keras_ops.convert_to_numpy(self.displacement(found, other.shape[1:3]))[0]

    def align(self, sections: Sequence[np.ndarray], **options: Any) -> Alignment:
        """Aligns a stack: pair by pair with this model, then as a whole.

        Args:
            sections: arrays ``(height, width)``, or what gives one after the other.
            options: of :func:`tfreg.serial.align`.

        Returns:
            The alignment of all sections.

        Raises:
            InputError: as :func:`tfreg.serial.align`.
        """
        digest = hashlib.sha256()
        for values in self.get_weights():
            digest.update(values.tobytes())
        config = keras.saving.serialize_keras_object(self)["config"]
        options.setdefault("identity", {"model": config, "weights_sha256": digest.hexdigest()})
        return align(sections, sections_by(self), **options)

    def check_size(self, size: Sequence[int]) -> None:
        if any(n < 2 * self.factor for n in size):
            raise InputError(
                f"Sections must be {2 * self.factor} px or more along each axis for this network. "
                f"Received: size={tuple(size)}"
            )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["ndim"]  # 2 always
        return {
            **config,
            "kernels": self.kernels,
            "convolutions": self.convolutions,
            "code": self.code,
            "decay": self.decay,
            "scheme": asdict(self.scheme),
        }

    def _optimised(
        self, fixed: Any, moving: Any, weights: np.ndarray, fixed_mask: Any, moving_mask: Any
    ) -> Any:
        """Adam on the vectors alone, coarse to fine; the encoder stays as it is. Our scheme goes on
        with the NCC of intensities."""
        scheme, shape = self.scheme, moving.shape[1:3]
        encode = self.function("encode", lambda: ops.graph(self._features, self.variables))
        references = encode(fixed)
        vectors = np.zeros((moving.shape[0], *grid_of(shape, scheme.spacings[0]), 2), "float32")
        before = None
        for spacing in scheme.spacings:
            if before is not None:
                vectors = finer(vectors, shape, before, spacing, scheme.interpolation)
            run = self.function(("descent", spacing), lambda s=spacing: self._descent(s))
            for drop, steps in scheme.rounds():
                decay = 1.0 if drop else 0.1
                settings = np.int32(steps), np.float32(scheme.learning_rate), np.float32(decay)
                data = np.float32(drop), weights, references, moving, fixed_mask, moving_mask
                vectors, *_ = run(*settings, np.float32(0), vectors, *data)
            before = spacing
        if scheme.ncc_steps:
            energy = of_intensities(scheme, before)
            run = self.function("ncc", lambda: minimiser(energy))
            rate = np.float32(scheme.learning_rate)
            settings = np.int32(scheme.ncc_steps), rate, np.float32(0.1), np.float32(0)
            vectors, *_ = run(*settings, vectors, weights, fixed, moving, fixed_mask, moving_mask)
        return vectors

    def _descent(self, spacing: int) -> Callable:
        energy = of_features(self.encoded, self.factor, self.scheme, spacing)
        return minimiser(energy, variables=self.variables)

    def _features(self, images: Any) -> Any:
        """Of each channel of images its features, ``(batch, channels, height, width, code)``."""
        each = [self.encoded(images[..., k : k + 1]) for k in range(images.shape[-1])]
        return at_least_float32(keras_ops.stack(each, axis=1))


def _convolution(filters: int, name: str) -> Convolution2D:
    return Convolution2D(filters, activation="relu", kernel_initializer="he_normal", name=name)


def _doubled(values: Any) -> Any:
    """Each pixel four times: what :func:`zoo.ssemnet.similarity.averaged` takes back."""
    height, width, channels = values.shape[1:]
    wide = keras_ops.broadcast_to(
        values[:, :, None, :, None, :],
        (keras_ops.shape(values)[0], height, 2, width, 2, channels),
    )
    return keras_ops.reshape(wide, (-1, 2 * height, 2 * width, channels))
