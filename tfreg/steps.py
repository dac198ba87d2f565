"""Steps of a training: how many make an epoch, and what a number of them must be."""

from tfreg.errors import InputError

STEPS_PER_EPOCH = 100


def check_steps(steps: int, steps_per_epoch: int = STEPS_PER_EPOCH) -> None:
    """Raises ``InputError`` unless ``steps`` is a positive multiple of ``steps_per_epoch``."""
    if steps < 1 or steps % steps_per_epoch:
        raise InputError(
            f"The number of iterations must be a multiple of {steps_per_epoch}. Received: {steps}"
        )


def check_devices(count: int, batch: int) -> None:
    """Raises ``InputError`` where a batch cannot be parted among so many devices."""
    if count < 1:
        raise InputError(f"--devices must be positive. Received: {count}")
    if batch % count:
        raise InputError(
            f"--batch must be a multiple of --devices, so that each has as many. "
            f"Received: --batch {batch} --devices {count}"
        )
