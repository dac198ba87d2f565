"""Steps of a training: how many make an epoch, and what a number of them must be."""

from tfreg.errors import InputError

STEPS_PER_EPOCH = 100


def check_steps(steps: int, steps_per_epoch: int = STEPS_PER_EPOCH) -> None:
    """Raises ``InputError`` unless ``steps`` is a positive multiple of ``steps_per_epoch``."""
    if steps < 1 or steps % steps_per_epoch:
        raise InputError(
            f"The number of iterations must be a multiple of {steps_per_epoch}. Received: {steps}"
        )
