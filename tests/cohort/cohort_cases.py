"""Work that costs nothing, on pairs whose files say what becomes of them."""

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tfreg import io
from tfreg.cohort.work import Pair
from tfreg.errors import InputError

WORK = "cohort_cases:of"


@dataclass(frozen=True)
class Files:
    fixed: Path

    @property
    def named(self):
        return {"fixed": self.fixed}


class Work:
    """``kill`` ends the process, ``hang`` sleeps, ``raise`` fails; anything else is well."""

    together = True

    def __init__(self, options):
        given = json.loads(options)
        self.out, self.run = Path(given["out"]), given["run"]
        self.seconds = given.get("seconds", 0.0)

    def pair(self, name, files):
        return Pair(name, Files(**{key: Path(path) for key, path in files.items()}))

    def load(self, pair):
        try:
            done = json.loads((self.out / pair.name / "registration.json").read_text())
        except OSError:
            return pair.name, pair.files.fixed.read_text()
        return self.row(pair, "done" if done["run"] == self.run else "there")

    def kind(self, loaded):
        return (loaded[1] == "large",)

    def voxels(self, loaded):
        return 1

    def register(self, group):
        for _, word in group:
            time.sleep(self.seconds)
            if word == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if word == "hang":
                time.sleep(3600)
            if word == "raise":
                raise InputError("cannot be\nregistered")
        return [os.getpid() for _ in group]

    def write(self, pair, loaded, answer):
        record = json.dumps({"run": self.run, "process": answer})
        writers = {
            name: lambda path: path.write_text(record) for name in ("registration.json", "moved")
        }
        io.write_folder(self.out / pair.name, writers, "registration.json", self.run)
        return self.row(pair, "done")

    def failed(self, pair, error):
        return self.row(pair, "failed", " ".join(str(error).split()))

    def row(self, pair, status, error=""):
        return {"name": pair.name, "status": status, "error": error}


def of(options):
    return Work(options)


def pairs(folder, words):
    """A pair for each word, of its place and it."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, word in enumerate(words):
        path = folder / f"{number:05d}.txt"
        if word != "missing":
            path.write_text(word)
        found.append(Pair(f"{number:05d}-{word}", Files(path)))
    return found
