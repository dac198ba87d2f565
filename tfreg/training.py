"""Training that survives interruption and can be repeated."""

import contextlib
import errno
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from tfreg.devices import parted, shared_loss
from tfreg.errors import InputError
from tfreg.steps import STEPS_PER_EPOCH, check_steps


class Checkpoint(keras.callbacks.Callback):
    """Keeps the state of a training in a folder, always whole.

    After each epoch the weights, the optimiser's state and the step are written beside the old ones
    and put in place by a rename; a process killed at any moment leaves the last whole checkpoint.

    Args:
        folder: where the checkpoint lives; made if absent.
        recipe: what identifies this training. A checkpoint of another recipe is refused.
        steps_per_epoch: steps that an epoch adds.

    Raises:
        InputError: if the folder holds the checkpoint of another recipe, or a damaged one.
    """

    def __init__(self, folder: Path, recipe: dict[str, Any], steps_per_epoch: int) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.recipe = recipe
        self.steps_per_epoch = steps_per_epoch
        self.folder.mkdir(parents=True, exist_ok=True)
        self._state = self.folder / "checkpoint.json"
        self.step = 0
        self._weights: str | None = None
        if self._state.exists():
            try:
                state = json.loads(self._state.read_text(encoding="utf-8"))
                self.step, self._weights = int(state["step"]), state["weights"]
                found = {**state["recipe"]}  # a list is no recipe
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{self._state} is damaged: {error}. Delete it to start anew."
                ) from error
            if found != recipe:
                changed = [k for k in {*found, *recipe} if found.get(k) != recipe.get(k)]
                raise InputError(
                    f"{self.folder} holds a training with another {', '.join(sorted(changed))}; "
                    "choose another folder, or delete it to start anew."
                )

    def restore(self, model: keras.Model) -> int:
        """Puts the state of the checkpoint, if there is one, into a built and compiled model.

        Returns:
            The number of steps that are done.
        """
        if self._weights is not None:
            model.optimizer.build(model.trainable_variables)
            path = self.folder / self._weights
            try:
                model.load_weights(path)
            except (OSError, ValueError, KeyError) as error:
                raise InputError(
                    f"{path} cannot be restored: {error}. Delete it to start anew."
                ) from error
        return self.step

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        step = (epoch + 1) * self.steps_per_epoch
        name = f"checkpoint-{step}.weights.h5"
        state = json.dumps({"step": step, "weights": name, "recipe": self.recipe})
        partial = self._state.with_suffix(".partial")
        try:
            _check_room(self.folder / f"{name}.partial", self.model)
            self.model.save_weights(self.folder / name, overwrite=True)
            partial.write_text(state, encoding="utf-8")
            os.replace(partial, self._state)  # from here on the new weights count
        except (OSError, RuntimeError, ValueError) as error:  # HDF5 has several for a full disk
            for path in (partial, self.folder / name):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            raise OSError(" ".join(str(error).split())) from error
        if self._weights not in (None, name):
            (self.folder / self._weights).unlink(missing_ok=True)
        self.step, self._weights = step, name


def fit(
    model: keras.Model,
    batches: Callable[[int, int], Any],
    steps: int,
    folder: Path,
    recipe: dict[str, Any],
    steps_per_epoch: int = STEPS_PER_EPOCH,
    validation: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> None:
    """Trains a compiled model for a number of steps, from its last checkpoint if there is one.

    Args:
        model: built and compiled.
        batches: ``batches(start, stop)`` answers the batches of these steps; being a function of
            the step alone, it continues after an interruption where it stopped.
        steps: number of steps in total, a multiple of ``steps_per_epoch``.
        folder: checkpoint and ``log.csv`` (one line per epoch) go here.
        recipe: what identifies the training, see :class:`Checkpoint`.
        steps_per_epoch: steps between checkpoints, validations and lines of the log.
        validation: a batch on which the loss is taken after each epoch.
        callbacks: further callbacks.
        verbose: as in ``keras.Model.fit``.

    Raises:
        InputError: if steps is no multiple of ``steps_per_epoch``, or the checkpoint is unusable.
    """
    check_steps(steps, steps_per_epoch)
    checkpoint = Checkpoint(folder, recipe, steps_per_epoch)
    done = checkpoint.restore(model)
    if done >= steps:
        return
    path = Path(folder) / "log.csv"
    if done and path.exists():
        # A process killed between the log and the checkpoint leaves a line that comes again.
        kept = path.read_text(encoding="utf-8").splitlines()[: 1 + done // steps_per_epoch]
        path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    log = keras.callbacks.CSVLogger(path, append=done > 0)
    validation, beside = parted(validation)
    with shared_loss(model), _one_line(folder):
        model.fit(
            batches(done, steps),
            initial_epoch=done // steps_per_epoch,
            epochs=steps // steps_per_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_data=validation,
            **beside,
            callbacks=[keras.callbacks.TerminateOnNaN(), log, checkpoint, *callbacks],
            shuffle=False,
            verbose=verbose,
        )


def _check_room(path: Path, model: keras.Model) -> None:
    """Raises ``OSError`` where the disk has no room for a checkpoint.

    HDF5 notices a full disk late, and leaves a file that it can neither write nor close.
    """
    variables = [*model.variables, *model.optimizer.variables]
    values = sum(math.prod(variable.shape) for variable in variables)
    try:
        with open(path, "wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, 4 * values + 2**16)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise  # else the file system cannot say
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    """A disk that is full, or a folder that must not be written to any more, in one line."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and Path(folder) not in Path(error.filename).parents:
            raise  # a file that could not be read
        raise InputError(
            f"{folder} cannot be written to: {error.strerror or error}. The last checkpoint is "
            "whole; the same command goes on from it."
        ) from error
