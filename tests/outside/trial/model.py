"""Two convolutions and a dense layer."""

from typing import Any

import keras

from tfreg.models import ClassificationModel


@keras.saving.register_keras_serializable(package="trial")
class TrialNet(ClassificationModel):
    """Classifies images of any size.

    Args:
        classes: what the classes are called.
        kernels: of both convolutions.
        kwargs: of ``tfreg.models.ClassificationModel``.
    """

    def __init__(self, classes: Any, kernels: int = 8, **kwargs: Any) -> None:
        super().__init__(**{"ndim": 2, **kwargs}, classes=classes)
        self.kernels = kernels
        self.stack = [
            keras.layers.Conv2D(kernels, 5, 2, padding="same", activation="relu"),
            keras.layers.Conv2D(2 * kernels, 5, 2, padding="same", activation="relu"),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(len(self.classes)),
        ]

    def build(self, input_shape: Any = None) -> None:
        shape = (None, None, None, self.channels)
        for layer in self.stack:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, images: Any, training: bool | None = None) -> Any:
        for layer in self.stack:
            images = layer(images)
        return images

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernels": self.kernels}
