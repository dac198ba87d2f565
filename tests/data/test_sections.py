import numpy as np
import pytest

from tfreg.data import sections
from tfreg.errors import InputError


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Prepared files whose greys are the numbers of the sections."""
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))

    def numbered(count, start=0):
        return np.arange(start, start + count, dtype="uint8")[:, None, None] * np.ones((4, 6), "u1")

    np.savez(
        tmp_path / sections.PACKS["vnc"],
        **{"stack1": numbered(20), "stack1_labels": numbered(20, 100), "stack2": numbered(20, 50)},
    )
    np.savez(
        tmp_path / sections.PACKS["isbi2012"],
        **{
            "images": numbered(30),
            "membrane": 255 * (numbered(30) % 2),
            "images2": numbered(30, 50),
        },
    )
    np.savez(tmp_path / sections.PACKS["lung"], images=numbered(12))
    return tmp_path


@pytest.mark.parametrize(
    ("source", "split", "expected"),
    [
        ("vnc", "train", [(0, 13, True), (50, 69, False)]),
        ("vnc", "validation", [(14, 16, True)]),
        ("vnc", "test", [(17, 19, True)]),
        ("isbi2012", "train", [(0, 19, True)]),
        ("isbi2012", "validation", [(20, 24, True)]),
        ("isbi2012", "test", [(25, 29, True), (50, 79, False)]),
        ("lung", "test", [(0, 11, False)]),
    ],
)
def test_a_split_is_a_block_of_sections(folder, source, split, expected):
    assert sections.available(source)
    found = sections.stacks(source, split)
    for stack, (first, last, labelled) in zip(found, expected, strict=True):
        assert stack.images[:, 1, 2].tolist() == list(range(first, last + 1))
        assert (stack.labels is not None) == labelled
        if labelled:
            # Of ISBI 2012 the membranes, drawn black by its publisher, are 1.
            drawn = {"vnc": stack.images + 100, "isbi2012": stack.images % 2 == 0}
            np.testing.assert_array_equal(stack.labels, drawn[source])
    assert sum(len(s.images) for s in found) == sections.SOURCES[source].splits[split]
    assert found[0].name.startswith(source)


def test_what_is_missing_or_damaged_is_named(folder):
    with pytest.raises(ValueError, match="source=brain"):
        sections.stacks("brain", "test")
    with pytest.raises(ValueError, match=r"one of \('test',\) for lung. Received: split=train"):
        sections.stacks("lung", "train")
    path = folder / sections.PACKS["vnc"]
    path.unlink()
    assert not sections.available("vnc")
    with pytest.raises(InputError, match=r"TFREG_DATA.*em_sstem_vnc\.npz.*--data phantom"):
        sections.stacks("vnc", "train")
    parts = {"stack1": np.zeros((20, 4, 6), "u1"), "stack1_labels": np.zeros((20, 4, 5), "u1")}
    np.savez(path, **parts)
    with pytest.raises(InputError, match=r"20 sections of stack1.*labels \(20, 4, 5\)"):
        sections.stacks("vnc", "test")
    np.savez(path, **{**parts, "stack1": np.zeros((3, 4, 6), "u1")})
    with pytest.raises(InputError, match=r"Received: uint8 \(3, 4, 6\)"):
        sections.stacks("vnc", "test")
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match="prepared file"):
        sections.stacks("vnc", "test")


def test_phantom_blocks_are_of_the_stated_number_and_of_other_tissue(monkeypatch):
    monkeypatch.setattr(sections, "PHANTOM_SIZE", 48)
    drawn = {split: sections.stacks("phantom", split) for split in sections.SPLITS}
    counts = {split: sum(len(s.images) for s in found) for split, found in drawn.items()}
    assert counts == sections.SOURCES["phantom"].splits
    firsts = [stack.images[0].tobytes() for found in drawn.values() for stack in found]
    assert len(set(firsts)) == len(firsts)
    assert all(stack.labels.shape == stack.images.shape for stack in drawn["test"])
