"""The tags of DICOM files, parsed by pydicom once every element is known to lie in its file."""

import contextlib
import math
import mmap
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfreg.errors import InputError
from tfreg.io.headers import check_dicom

_LOCK = threading.Lock()  # the filters of warnings belong to the process


@contextlib.contextmanager
def parsed(path: Path, pixels: bool = False) -> Iterator[Any]:
    """The ``pydicom.Dataset`` of a file; whatever fails in the block is the file's fault.

    Args:
        path: with or without a preamble.
        pixels: whether to read them too.

    Raises:
        InputError: if the file is damaged, or a value cannot be what its tag asks for.
    """
    import pydicom

    try:
        check_dicom(path)
        with _without_remarks(), _mapped(path) as data:
            yield pydicom.dcmread(data, force=True, stop_before_pixels=not pixels)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # a parser of damaged headers raises whatever Python does
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a DICOM image that can be read: {why}") from error


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    """A file that never answers, nor allocates, more than it holds."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


@contextlib.contextmanager
def _without_remarks() -> Iterator[None]:
    """Leaves out what pydicom remarks on how values are written, and nobody else's warnings."""
    with _LOCK, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        yield


class Tags:
    """What a file says of one of its frames: of the frame, else of all, else of the file.

    Args:
        path: of the file, for messages.
        dataset: its ``pydicom.Dataset``.
        index: of the frame.
    """

    def __init__(self, path: Path, dataset: Any, index: int = 0):
        self.path = path
        per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
        shared = dataset.get("SharedFunctionalGroupsSequence") or []
        self._levels = [*per_frame[index : index + 1], *shared[:1], dataset]

    def value(self, keyword: str, *groups: str) -> Any:
        """The value of a tag, or None where it is absent or empty.

        Args:
            keyword: of the tag, as pydicom names it.
            groups: the sequences in which it lies, from the outside; last, it is looked for bare.
        """
        found = (_first(level, groups, keyword) for level in self._levels)
        inside = next((value for value in found if value is not None), None)
        return _first(self._levels[-1], (), keyword) if inside is None else inside

    def text(self, keyword: str, *groups: str) -> str:
        """The same as text of one line, values joined by a backslash; empty where absent."""
        value = self.value(keyword, *groups)
        if value is None:
            return ""
        text = "\\".join(map(str, value)) if _is_many(value) else str(value)
        return "".join(sign if sign.isprintable() else "?" for sign in text.strip("\0 "))

    def numbers(self, keyword: str, count: int, *groups: str) -> tuple[float, ...] | None:
        """The same as ``count`` finite numbers.

        Raises:
            InputError: if it is something else.
        """
        value = self.value(keyword, *groups)
        if value is None:
            return None
        values = list(value) if _is_many(value) else [value]
        try:
            numbers = tuple(float(number) for number in values)
        except (TypeError, ValueError):
            numbers = ()
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            raise InputError(
                f"{self.path} has a broken tag: {keyword} must be {count} finite "
                f"number{'s' * (count > 1)}. Received: {self.text(keyword, *groups)[:80]!r}"
            )
        return numbers

    def number(self, keyword: str, *groups: str) -> float | None:
        """The same as one finite number."""
        found = self.numbers(keyword, 1, *groups)
        return None if found is None else found[0]


def _first(level: Any, groups: tuple[str, ...], keyword: str) -> Any:
    for group in groups:
        items = level.get(group)
        if not items:
            return None
        level = items[0]
    value = level.get(keyword)
    return None if value is None or (_is_many(value) and not len(value)) or value == "" else value


def _is_many(value: Any) -> bool:
    return not isinstance(value, str | bytes) and hasattr(value, "__len__")
