"""What of an alignment is computed once, and kept in a folder from which it goes on."""

import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfreg import io
from tfreg.errors import InputError
from tfreg.io.writing import check_folder


class Kept:
    """Arrays by name, each with what it was computed from.

    Args:
        folder: ``None``: nothing is kept.
        settings: what decides all of them, as JSON can hold it.

    Raises:
        InputError: if the folder holds arrays of other settings, or cannot be written to.
    """

    def __init__(self, folder: Path | None, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.settings = json.loads(json.dumps(settings))
        if folder is None:
            return
        check_folder(folder)
        path = folder / "settings.json"
        if path.exists():
            found = _read(path)
            changed = [k for k in {*found, *settings} if found.get(k) != self.settings.get(k)]
            if changed:
                raise InputError(
                    f"{folder} holds an alignment with another {', '.join(sorted(changed))}; "
                    "choose another folder, or delete it to start anew."
                )

    def get(self, name: str, of: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """What is kept by this name, or is made now.

        Args:
            name: of a file.
            of: what it is computed from; what was kept of something else is made anew.
            make: computes it.
        """
        if self.folder is None:
            return make()
        path = self.folder / f"{name}.npz"
        if path.exists():
            try:
                with np.load(path, allow_pickle=False) as file:
                    if str(file["of"]) == of:
                        return file["values"]
            except (EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
                pass  # damaged: made anew
        values = make()
        writers: dict[str, Callable[[Path], Any]] = {path.name: _writer(values, of)}
        if not (self.folder / "settings.json").exists():
            text = json.dumps(self.settings, indent=2) + "\n"
            writers["settings.json"] = lambda path: path.write_text(text, encoding="utf-8")
        io.write_together(self.folder, writers)
        return values


def _writer(values: np.ndarray, of: str) -> Callable[[Path], Any]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, values=values, of=of)

    return write


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path} is damaged: delete the folder to start anew.")
    return found
