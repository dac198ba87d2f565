"""Two phantom images for the networks that fuse, which agree in a part."""

from tfreg.data import brain_pairs


def example(preset):
    """A phantom head by CT and by MRI, 64x96 pixels of it."""
    pair = brain_pairs.pairs("ct-mri", "test", "phantom")
    rows, columns = slice(100, 164), slice(60, 156)
    return {"first": pair.first[0, rows, columns], "second": pair.second[0, rows, columns]}
