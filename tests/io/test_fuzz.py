"""Truncated and altered files: an answer or one line, in bounded time and memory.

The reader runs in a process whose memory is limited, since a crash of a C++ library, or an
allocation that its header asks for, would take the tests with it.
"""

import subprocess
import sys
import textwrap

import pytest

CODE = """
    import resource, sys, time, warnings
    from pathlib import Path
    import numpy as np
    import SimpleITK as sitk
    from tfreg import io
    from tfreg.errors import InputError, InputWarning

    warnings.simplefilter("ignore", InputWarning)
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    rng = np.random.default_rng(int(sys.argv[3]))
    noise = rng.normal(0, 1000, (5, 6, 7))
    flat = noise.reshape(15, 14)

    def good(suffix):
        path = folder / f"good.{suffix}"
        if suffix == "npy":
            np.save(path, noise)
        elif suffix in ("png", "bmp"):
            sitk.WriteImage(sitk.GetImageFromArray(flat.astype("uint8")), str(path))
        elif suffix == "dcm":
            sitk.WriteImage(sitk.GetImageFromArray(flat[None].astype("int16")), str(path))
        else:
            compress = suffix in ("nii.gz", "tif", "mha")
            sitk.WriteImage(sitk.GetImageFromArray(noise.astype("int16")), str(path), compress)
        return path.read_bytes()

    def damaged(content):
        content = bytearray(content)
        head = min(len(content), 900)
        kind, where = rng.integers(5), rng.integers(head)
        if kind == 0:
            return content[: rng.integers(1, len(content))]
        if kind == 1:
            content[where] ^= 1 << rng.integers(8)
        elif kind == 2:
            for place in rng.integers(head, size=3):
                content[place] = rng.integers(256)
        elif kind == 3:
            content[where : where + 4] = rng.choice([0, 1, 127, 128, 255, 57, 45], 4).tolist()
        else:
            del content[where : where + rng.integers(1, 20)]
        return content

    formats = {suffix: good(suffix) for suffix in sys.argv[4:]}
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20),) * 2)
    slowest, seen = 0.0, {}
    for suffix, content in formats.items():
        path = folder / f"bad.{suffix}"
        for number in range(rounds):
            path.write_bytes(damaged(content))
            print(suffix, number, flush=True)
            start = time.perf_counter()
            try:
                io.read(path)
            except InputError as error:
                assert "\\n" not in str(error) and str(path) in str(error), error
                seen[suffix] = seen.get(suffix, 0) + 1
            slowest = max(slowest, time.perf_counter() - start)
    assert slowest < 5, slowest
    assert len(seen) == len(formats), seen
    print("whole")
    """


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
@pytest.mark.parametrize(
    "formats",
    [("nii", "nii.gz", "mha", "mhd"), ("nrrd", "nhdr", "npy"), ("png", "tif", "bmp", "dcm")],
    ids=" ".join,
)
def test_damaged_files_never_crash_hang_or_fill_the_memory(tmp_path, formats):
    command = [sys.executable, "-c", textwrap.dedent(CODE), str(tmp_path), "150", "0", *formats]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    last = done.stdout.splitlines()[-1:]
    assert (done.returncode, last, done.stderr) == (0, ["whole"], "")
