import json
import os
import subprocess
import sys

import numpy as np
import pytest
from shipped import RECIPE

from tfreg.errors import InputError, InputWarning
from tfreg.steps import check_devices

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.parametrize(
    ("devices", "batch", "message"),
    [
        (0, 8, "--devices must be positive. Received: 0"),
        (3, 8, "multiple of --devices.* Received: --batch 8 --devices 3"),
    ],
)
def test_a_batch_is_parted_evenly(devices, batch, message):
    with pytest.raises(InputError, match=message):
        check_devices(devices, batch)
    check_devices(4, 8)


def test_more_devices_than_there_are():
    from tfreg.devices import on_devices

    with on_devices(1):
        pass
    with (
        pytest.raises(InputError, match=r"--devices: this machine has \d+ \(\w+\). Received: 4096"),
        on_devices(4096),
    ):
        pass


def test_held_out_items_are_parted_evenly(monkeypatch):
    from tfreg import devices

    items = {"fixed": np.arange(70), "mask": None}
    assert devices.in_use() == 1 and devices.parted(items) == (items, {})
    monkeypatch.setattr(devices, "in_use", lambda: 3)
    assert devices.parted(None) == (None, {})
    with pytest.warns(InputWarning, match="69 of 70 items: as many for each of the 3 devices"):
        kept, beside = devices.parted(items)
    np.testing.assert_array_equal(kept["fixed"], np.arange(69))
    assert kept["mask"] is None and beside == {"validation_batch_size": 30}


@pytest.mark.long
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("recipe", [RECIPE, "trial-digits"])
def test_the_losses_are_those_of_one_device(recipe, backend):
    """A network with batch normalisation and a warp, whose loss it computes itself, and another."""
    path = os.pathsep.join([os.path.join(HERE, "outside"), os.environ.get("PYTHONPATH", "")])
    place = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path, "TFREG_CACHE": "off"}
    ended = subprocess.run(
        [sys.executable, os.path.join(HERE, "devices_worker.py"), recipe],
        capture_output=True,
        text=True,
        env=place,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    one = found["1"]
    assert len(one["losses"]) == 8 and one["losses"][0]["loss"] != one["losses"][-1]["loss"]
    for count in ("2", "4", "resumed"):
        several = found[count]
        assert several["copies"] == (
            1 if backend == "jax" else 4 if count == "resumed" else int(count)
        )
        for a, b in zip(one["losses"], several["losses"], strict=True):
            assert b == pytest.approx(a, abs=1e-4)
        for a, b in zip(one["log"][1:], several["log"][1:], strict=True):  # validation among them
            assert list(map(float, b.split(","))) == pytest.approx(
                list(map(float, a.split(","))), abs=1e-4
            )
        assert several["weights"] < 1e-3
