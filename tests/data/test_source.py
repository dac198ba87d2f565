import pytest

from tfreg.data import acdc, breathing, cine, digits, hippocampus, sections, stacks, sunnybrook
from tfreg.data.slices import patients
from tfreg.data.source import Source, licence_of, phantom

CHOICES = (cine, digits, hippocampus, stacks, breathing, sections)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("acdc", acdc.SOURCE),
        ("sunnybrook", sunnybrook.SOURCE),
        ("hippocampus", hippocampus.SOURCES["decathlon"]),
    ],
)
def test_splits_are_those_of_the_lists(name, source):
    lists = {split: patients(name, split) for split in source.splits}
    assert {split: len(list_) for split, list_ in lists.items()} == source.splits
    assert len(frozenset().union(*lists.values())) == sum(source.splits.values())


@pytest.mark.parametrize("module", CHOICES, ids=lambda module: module.__name__)
def test_everything_to_train_on_has_a_citation_and_a_licence(module):
    for name, source in module.SOURCES.items():
        assert source.licence and source.name and bool(source.citation) == (name != "phantom")
    assert module.SOURCES["phantom"].licence == "Apache-2.0"


def test_what_is_made_of_several_has_the_licence_that_asks_most():
    free, other = phantom("a", "images"), Source("b", "c", "CC0 1.0")
    asking, more = Source("d", "e", "CC BY 3.0"), Source("f", "g", "CC BY-SA 4.0")
    assert licence_of([free]) == licence_of([other, free]) == "Apache-2.0"
    assert licence_of([other]) == "CC0 1.0"
    assert licence_of([asking, free, other]) == "CC BY 3.0"
    with pytest.raises(ValueError, match=r"joined. Received: CC BY 3\.0, CC BY-SA 4\.0"):
        licence_of([asking, more])


def test_a_source_is_printed_with_its_citation():
    assert str(Source("b", "c, 2001", "CC0 1.0")) == "b (c, 2001)"
    assert str(phantom("drawn things", "images")) == "drawn things"
