"""Trains a recipe for a few steps on 1, 2 and 4 virtual devices; prints what the losses were.

In a process of its own: TensorFlow and JAX part a processor into devices when they load.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

DEVICES, STEPS, EPOCH = (1, 2, 4), 8, 4
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={max(DEVICES)}"

import keras  # noqa: E402

if keras.config.backend() == "tensorflow":
    import tensorflow as tf

    processor = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * max(DEVICES)
    tf.config.set_logical_device_configuration(processor, parts)

from tfreg.cli import train  # noqa: E402
from tfreg.devices import on_devices, replicas  # noqa: E402
from tfreg.training import fit  # noqa: E402
from zoo import methods  # noqa: E402


class Losses(keras.callbacks.Callback):
    """What every step's logs say, which is a mean over the epoch so far."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_train_batch_end(self, batch, logs=None):
        self.found.append({key: float(value) for key, value in logs.items()})


def trained(recipe, settings, folder, plan):
    """Trains on so many devices to each step of a plan; losses, last weights, and copies."""
    losses = Losses()
    for count, steps in plan:
        keras.utils.set_random_seed(0)
        with on_devices(count):
            training = recipe.prepare(settings, folder / "data")
            recipe.compile(training.model, settings)
            numpy = keras.config.backend() != "tensorflow"
            batches = training.batches.tuples if numpy else training.batches.dataset
            held_out = training.batches.split(training.held_out)
            given = {"validation": held_out, "callbacks": [losses], "verbose": 0}
            fit(training.model, batches, steps, folder, {"r": 1}, EPOCH, **given)
            copies = replicas(training.model)
            last = [keras.ops.convert_to_numpy(w) for w in training.model.weights]
    return losses.found, last, copies


def main(name):
    recipe = methods.recipe(name)
    settings = train.settings_of(train.parser_of(recipe).parse_args(["--data", "phantom"]))
    settings |= {"batch": 8, "iterations": 100}
    found = {}
    with tempfile.TemporaryDirectory() as place:
        plans = {str(count): [(count, STEPS)] for count in DEVICES}
        plans["resumed"] = [(2, EPOCH), (4, STEPS)]
        for label, plan in plans.items():
            losses, weights, copies = trained(recipe, settings, Path(place) / label, plan)
            first = weights if label == "1" else first  # noqa: F821
            largest = max(float(abs(a - b).max()) for a, b in zip(weights, first, strict=True))
            log = (Path(place) / label / "log.csv").read_text().splitlines()
            found[label] = {"losses": losses, "weights": largest, "copies": copies, "log": log}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
