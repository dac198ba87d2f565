import numpy as np
import pytest

from tfreg.data import photographs
from tfreg.data.source import licence_of
from tfreg.errors import InputError

NAMES = [f"kodim{n:02d}" for n in range(1, 25)] + [
    f"cc0_{name}"
    for name in (
        "Brown_Architecture",
        "Jonas_Nilsson_Lee",
        "Mr_Lee",
        "Photo_by_SpaceX",
        "Rob_Bye",
        "Sunset_by_the_Pier",
        "william_bout_lighthouse",
        "Martian_Terrain",
    )
]


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """Writes a file in the official layout, each image of a grey of its own."""
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))

    def write(**changes):
        images = {name: np.full((20, 16 + k), k, "uint8") for k, name in enumerate(NAMES)}
        images = {k: v for k, v in {**images, **changes}.items() if v is not None}
        np.savez(tmp_path / photographs.PACK, **images)

    return write


def test_the_splits_hold_every_image_once(pack):
    assert not photographs.available()
    pack()
    assert photographs.available()
    train, validation = (photographs.load(split) for split in photographs.SPLITS)
    assert len(train) == 26 and len(validation) == 6 and {*train, *validation} == {*NAMES}
    assert set(validation) == {"kodim21", "kodim22", "kodim23", "kodim24",
                               "cc0_Martian_Terrain", "cc0_Rob_Bye"}  # fmt: skip
    assert all((image == NAMES.index(name)).all() for name, image in train.items())
    counts = [source.splits for source in photographs.SOURCES["natural"]]
    assert sum(c["train"] for c in counts) == 26 and sum(c["validation"] for c in counts) == 6
    assert licence_of(photographs.SOURCES["natural"]).startswith("unrestricted use")


def test_phantoms_are_sharp_at_every_scale_and_never_the_same():
    train, validation = (photographs.load(split, "phantom") for split in photographs.SPLITS)
    images = [*train.values(), *validation.values()]
    assert len({image.tobytes() for image in images}) == len(images) == 16
    for image in images[::5]:
        again = image.astype(float)
        for _ in range(3):  # half of the pixels, and as much contrast
            assert again.std() > 25 and np.abs(np.diff(again, axis=0)).mean() > 4
            again = again.reshape(len(again) // 2, 2, -1, 2).mean(axis=(1, 3))


def test_what_is_missing_is_named(pack, monkeypatch):
    with pytest.raises(InputError, match=r"natural_grey\.npz, or use phantom textures"):
        photographs.load("train")
    pack(kodim03=None)
    with pytest.raises(InputError, match="kodim03"):
        photographs.load("train")
    pack(kodim03=np.zeros((4, 4, 3), "uint8"))
    with pytest.raises(InputError, match=r"grey images of 8 bits. Received: kodim03 \(4, 4, 3\)"):
        photographs.load("train")
    with pytest.raises(ValueError, match="split=test"):
        photographs.load("test")
    with pytest.raises(ValueError, match="source=mnist"):
        photographs.load("train", "mnist")
