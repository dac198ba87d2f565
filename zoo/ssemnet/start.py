"""How the weights of the autoencoder begin, so that no unit dies.

A unit whose pre-activation is below zero everywhere has no gradient, and stays so. With the usual
initialisation some are from the start, since what a layer sees is not centred; and more are driven
there in the first steps, in which the decoder's answer is noise and the quickest way to a better
one is to silence the code.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from zoo.ssemnet.model import SsEMnet


def start(model: SsEMnet, images: np.ndarray) -> None:
    """Sets all biases, and the decoder's last kernel, of a model with initial kernels.

    Every unit begins as active half of the time, its bias being minus the mean of what it adds to;
    the reconstruction begins as the mean grey of the images.

    Args:
        model: built.
        images: ``(batch, height, width, 1)`` in [0, 1], of those it is to be trained on.

    Reference:
        Kraehenbuehl et al., Data-dependent initializations of convolutional neural networks, ICLR
        2016.
    """
    model.decoded(model.encoded(images, _centred), _centred)
    kernel, bias = model.decoder[-1].get_weights()
    model.decoder[-1].set_weights([np.zeros_like(kernel), np.full_like(bias, images.mean())])


def _centred(layers: Iterable[keras.layers.Layer], values: Any) -> Any:
    """Values after layers, each of which gets its bias on the way."""
    for layer in layers:
        kernel, _ = layer.get_weights()
        before = ops.convolution(values, kernel)
        bias = -keras_ops.mean(before, axis=(0, 1, 2))
        layer.set_weights([kernel, keras_ops.convert_to_numpy(bias)])
        values = layer(values)
    return values
