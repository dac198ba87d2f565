"""A siamese network that says which of two images is in focus, and weighs them by it.

Reference:
    Y. Liu, X. Chen, J. Cheng and H. Peng, A medical image fusion method based on convolutional
    neural networks, FUSION 2017, IEEE 8009769.

It is trained on patches of 16x16 pixels, of which one is blurred. At use whole images go through
its convolutions; each patch at every second pixel gives a score, and a pixel's weight is the mean
score of all patches that it is in. By that weight the Laplacian pyramids of both images are fused
(``tfreg.ops.fuse_pyramids``).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.colour import YUV
from tfreg.errors import InputError
from tfreg.models import FusionModel
from tfreg.ops.separable import apply_per_axis

PATCH, STRIDE = 16, 2  # pixels
KERNELS = (64, 128, 256)
_SIDE = PATCH // STRIDE  # of the features of a patch


@keras.saving.register_keras_serializable(package="tfreg")
class FusionNetwork(FusionModel):
    """The network of the paper, and its fusion rule.

    Two columns of the same three convolutions (3x3, ReLU; 64, 128 and 256 kernels, a maximum of 2x2
    before the last), one for each image, and one fully connected layer from both to two classes:
    the second patch is the sharp one, or the first.

    Args:
        threshold: of the match measure, above which the two images are mixed by weight.
        kwargs: of ``tfreg.models.FusionModel``.

    Input shape:
        ``{"sharp", "blurred"}``, patches ``(batch, 16, 16, 1)`` in [0, 1].

    Output shape:
        ``(batch, 2, 2)``: logits of the classes (last axis) of each pair as it is, and exchanged:
        the convolutions see every patch once for both.

    Raises:
        ValueError: on a threshold beyond -1 and 1, or three axes.

    Example:

    >>> import numpy as np
    >>> from zoo.fusion.model import FusionNetwork
    >>> first, second = np.random.default_rng(0).random((2, 40, 51))
    >>> answer = FusionNetwork().fuse(first, second)
    >>> answer.fused.shape, bool(0 < answer.weight.min() < answer.weight.max() < 1)
    ((40, 51), True)
    """

    metric: ClassVar[str] = "accuracy"

    def __init__(self, threshold: float = 0.6, **kwargs: Any) -> None:
        super().__init__(**{"ndim": 2, **kwargs})
        if self.ndim != 2:
            raise ValueError(f"ndim must be 2. Received: ndim={self.ndim}")
        if not -1 <= threshold <= 1:
            raise ValueError(f"threshold must be within -1 and 1. Received: threshold={threshold}")
        self.threshold = float(threshold)
        layers = keras.layers
        first, second, third = (
            layers.Conv2D(n, 3, padding="same", activation="relu", name=f"convolution_{k}")
            for k, n in enumerate(KERNELS, 1)
        )
        # Beyond an odd size a maximum sees zeros, which are no more than what ReLU leaves.
        pooling = layers.MaxPooling2D(STRIDE, padding="same")
        self.column = keras.Sequential([first, second, pooling, third], name="column")
        self.head = layers.Dense(2, dtype="float32", name="classes")
        self.accuracy_tracker = keras.metrics.Mean(name="accuracy")

    def build(self, input_shape: Any = None) -> None:
        self.column.build((None, None, None, 1))
        self.head.build((None, _SIDE * _SIDE * 2 * KERNELS[-1]))
        self.built = True

    def check_size(self, size: Sequence[int]) -> None:
        if min(size) < PATCH:
            raise InputError(
                f"Images must have {PATCH} x {PATCH} pixels or more. "
                f"Received: {' x '.join(map(str, size))}"
            )

    def features(self, first: Any, second: Any) -> tuple[Any, Any]:
        """Of both images, ``(batch, ceil(height / 2), ceil(width / 2), 256)`` each."""
        found = self.column(keras_ops.concatenate([first, second], axis=0))
        return keras_ops.split(found, 2, axis=0)

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        sharp, blurred = self.features(inputs["sharp"], inputs["blurred"])
        pairs = [keras_ops.concatenate(pair, -1) for pair in ((sharp, blurred), (blurred, sharp))]
        size = _SIDE * _SIDE * 2 * KERNELS[-1]
        logits = [self.head(keras_ops.reshape(pair, (-1, size))) for pair in pairs]
        return keras_ops.stack(logits, axis=1)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Cross-entropy, averaged over the pairs and both orders."""
        self.accuracy_tracker.update_state(_right(y_pred))
        margin = y_pred[..., 1] - y_pred[..., 0]
        signs = keras_ops.convert_to_tensor([1.0, -1.0])  # the first is sharp, or the second
        return keras_ops.mean(keras_ops.softplus(-signs * margin))

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """How many of the two orders of each pair are named rightly: 1, a half or 0."""
        logits = self.predict(inputs, batch_size=batch_size, verbose=0)
        return keras_ops.convert_to_numpy(_right(logits))

    def fused(self, first: Any, second: Any, **options: Any) -> tuple[Any, Any]:
        light = [_light(image) for image in (first, second)]
        # The softmax of two logits depends on their difference alone. The authors' code leaves
        # their biases out.
        kernel = keras_ops.convert_to_tensor(self.head.kernel)
        kernel = keras_ops.reshape(kernel[:, 1] - kernel[:, 0], (_SIDE * _SIDE, -1))
        kernels = keras_ops.split(keras_ops.transpose(kernel), 2)
        parts = sum(
            keras_ops.cast(keras_ops.matmul(one, keras_ops.cast(half, one.dtype)), "float32")
            for one, half in zip(self.features(*light), kernels, strict=True)
        )
        rule = self.function("rule", lambda: ops.compiled(self._fused_by))
        return rule(parts, first, second)

    def _fused_by(self, parts: Any, first: Any, second: Any) -> tuple[Any, Any]:
        """Fused images and weights; compiled.

        Args:
            parts: ``(batch, rows, columns, 64)``: what each feature adds to the margin of a patch
                in which it has one of the 8x8 places.
            first, second: the images.
        """
        rows, columns = (n - _SIDE + 1 for n in parts.shape[1:3])
        places = [(i, j) for i in range(_SIDE) for j in range(_SIDE)]
        margin = sum(
            parts[:, i : i + rows, j : j + columns, _SIDE * i + j, None] for i, j in places
        )
        weight = weight_map(keras_ops.sigmoid(margin), first.shape[1:3])
        return ops.fuse_pyramids(first, second, weight, self.threshold), weight

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


def weight_map(scores: Any, shape: Sequence[int]) -> Any:
    """The mean score of all patches that each pixel is in.

    Args:
        scores: tensor ``(batch, rows, columns, 1)``, of patches of 16x16 at every second pixel.
        shape: height and width of the image, beyond which patches are cut off.

    Returns:
        ``(batch, height, width, 1)``.

    Example:

    >>> import numpy as np
    >>> from zoo.fusion.model import weight_map
    >>> scores = np.array([0.0, 1.0], "float32").reshape(1, 1, 2, 1)
    >>> weight_map(scores, (16, 18))[0, 0, :, 0].numpy()[[0, 1, 2, 15, 16]].tolist()
    [0.0, 0.0, 0.5, 0.5, 1.0]
    """
    matrices = []
    for size, count in zip(shape, scores.shape[1:3], strict=True):
        behind = np.arange(size)[:, None] - STRIDE * np.arange(count)[None]
        covered = ((behind >= 0) & (behind < PATCH)).astype("float64")
        matrices.append(covered / covered.sum(axis=1, keepdims=True))
    return apply_per_axis(scores, matrices)


def _light(image: Any) -> Any:
    """An image of one channel."""
    if image.shape[-1] == 1:
        return image
    shares = keras_ops.convert_to_tensor(YUV[0], image.dtype)
    return keras_ops.sum(shares * image, axis=-1, keepdims=True)


def _right(logits: Any) -> Any:
    """The share of the two orders that are named rightly, ``(batch,)``."""
    margin = logits[..., 1] - logits[..., 0]
    right = keras_ops.stack([margin[:, 0] > 0, margin[:, 1] < 0], axis=1)
    return keras_ops.mean(keras_ops.cast(right, "float32"), axis=1)
