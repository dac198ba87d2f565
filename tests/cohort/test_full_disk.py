"""A disk that fills and a folder that turns read-only: no half file, and one clear line."""

import json
import os

import plain_user
import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits of a POSIX system")

_BATCH = """
import json, sys
from pathlib import Path
from tfreg import io
from tfreg.errors import InputError
out, how = Path(sys.argv[1]), sys.argv[2]
writers = {
    "moved": lambda path: path.write_bytes(b"x" * 1000),
    "displacement": lambda path: path.write_bytes(b"x" * 200_000),
    "registration.json": lambda path: path.write_text("{}"),
}
if how == "read-only":
    def lock(path):
        path.write_text("{}")
        path.parent.chmod(0o555)  # in the middle of writing
        out.chmod(0o555)
    writers["registration.json"] = lock
    writers["late"] = lambda path: path.write_text("late")
try:
    io.write_folder(out / "pair", writers, "registration.json")
except InputError as error:
    print(json.dumps(str(error)))
finally:
    out.chmod(0o755)
"""


@pytest.mark.parametrize(("how", "limit"), [("full", 100_000), ("read-only", None)])
def test_a_pair_is_whole_or_absent(tmp_path, how, limit):
    out = tmp_path / "out"
    out.mkdir()
    ended = plain_user.run(_BATCH, out, how, file_bytes=limit, folder=out)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert "cannot be written to" in said and "\n" not in said
    assert not (out / "pair").exists()
    left = [path for path in out.iterdir() if path.name.startswith(".partial")]
    assert left == [] or how == "read-only"  # what may not be removed by anybody stays


_LEDGER = """
import sys
from pathlib import Path
from tfreg.cohort.ledger import Ledger
from tfreg.errors import InputError
ledger = Ledger(Path(sys.argv[1]) / "ledger.jsonl", 1000)
try:
    for number in range(1000):
        ledger.add(number, {"name": str(number), "more": "x" * 100})
except InputError as error:
    print(error)
"""


def test_a_ledger_on_a_full_disk_says_so_and_is_read_up_to_there(tmp_path):
    from tfreg.cohort.ledger import read

    ended = plain_user.run(_LEDGER, tmp_path, file_bytes=50_000, folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("\n") == 1 and "ledger.jsonl cannot be written" in ended.stdout
    names = [line["name"] for line in read(tmp_path / "ledger.jsonl")]
    assert names == [str(number) for number in range(len(names))] and 300 < len(names) < 500


_TRAINING = """
import sys
from pathlib import Path
import numpy as np
import keras
from tfreg.data import Array, Batches
from tfreg.errors import InputError
from tfreg.training import fit

folder, how = Path(sys.argv[1]), sys.argv[2]

class Noise(Batches):
    def batch(self, step):
        rng = np.random.default_rng([self.seed, step])
        return {"x": rng.random((4, 200), "float32"), "y": rng.random((4, 2), "float32")}

noise = Noise(4, 0, {"x": Array((200,)), "y": Array((2,))}, targets=("y",))
model = keras.Sequential([keras.Input((200,)), keras.layers.Dense(2), keras.layers.Dense(2)])
model.compile(keras.optimizers.Adam(1e-2), "mse")
if how == "full":  # the first checkpoint finds room, the second does not
    import resource
    class Fill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    more = [Fill()]
else:
    more = []
save = model.save_weights
def locked(path, **options):
    if how == "read-only" and "checkpoint-4." in str(path):
        folder.chmod(0o555)
    save(path, **options)
model.save_weights = locked
try:
    fit(model, noise.dataset, 6, folder, {"r": 1}, 2, callbacks=more, verbose=0)
except InputError as error:
    print(error)
finally:
    folder.chmod(0o755)
"""


@pytest.mark.long
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_training_keeps_its_last_whole_checkpoint(tmp_path, how):
    folder = tmp_path / "run"
    folder.mkdir()
    ended = plain_user.run(_TRAINING, folder, how, folder=folder)
    assert ended.returncode == 0, ended.stderr[-2000:]
    line = ended.stdout.strip()
    assert "\n" not in line and "cannot be written" in line and "goes on from it" in line
    assert json.loads((folder / "checkpoint.json").read_text())["step"] == 2
    assert sorted(path.name for path in folder.glob("checkpoint*")) == [
        "checkpoint-2.weights.h5",
        "checkpoint.json",
    ]
