"""What tells the volumes of one series apart beside time: echoes, diffusion, segments and so on."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfreg.errors import InputError
from tfreg.io.dicom.parsing import Tags

if TYPE_CHECKING:
    from tfreg.io.dicom.slices import Slice

_DIFFUSION = "MRDiffusionSequence"
_KINDS = {  # the keyword of a tag: the sequences in which it lies where frames have groups
    "EchoTime": (),
    "EffectiveEchoTime": ("MREchoSequence",),
    "DiffusionBValue": (_DIFFUSION,),
    "DiffusionGradientOrientation": (_DIFFUSION, "DiffusionGradientDirectionSequence"),
    "ReferencedSegmentNumber": ("SegmentIdentificationSequence",),
    "ComplexImageComponent": ("MRImageFrameTypeSequence",),
}
_MILD = {  # slices of one volume may differ in these
    "FrameType": ("MRImageFrameTypeSequence",),
    "ImageType": (),
    "FlipAngle": (),
    "KVP": (),
    "ConvolutionKernel": (),
    "SequenceName": (),
}
_VECTORS = ("EnergyWindowVector", "DetectorVector", "RotationVector", "AngularViewVector")
_PLACES_AND_TIMES = (
    "ImagePositionPatient",
    "InStackPositionNumber",
    "StackID",
    "TemporalPositionIndex",
    "TemporalPositionTimeOffset",
    "NominalCardiacTriggerDelayTime",
    "NominalPercentageOfCardiacPhase",
    "ActualCardiacTriggerDelayTime",
    "FrameAcquisitionDateTime",
    "FrameReferenceDateTime",
    "FrameAcquisitionNumber",
)
_SHOWN = 6


def kinds_of(tags: Tags, dataset: Any, index: int) -> dict[str, str]:
    """The values of those tags that a frame has, and of the dimensions that its file names."""
    found = _dimensions(tags, dataset)
    for keyword, groups in (_KINDS | _MILD).items():
        text = tags.text(keyword, *groups)
        if text:
            found[keyword] = "\\".join(map(_as_written_once, text.split("\\")))
    for keyword in _VECTORS:
        if keyword in dataset:
            found[keyword] = tags.text(keyword).split("\\")[index]
    return found


def differing(slices: Sequence["Slice"]) -> list[str]:
    """The keywords of which the slices have several values."""
    keywords = dict.fromkeys(keyword for item in slices for keyword in item.kind)
    return [key for key in keywords if len({item.kind.get(key, "") for item in slices}) > 1]


def check_one_kind(source: object, slices: Sequence["Slice"]) -> list[str]:
    """Refuses a volume whose slices are of several kinds; answers in what they mildly differ."""
    keywords = differing(slices)
    strong = [keyword for keyword in keywords if keyword not in _MILD]
    if strong:
        raise InputError(
            f"{source} holds slices of several volumes, each slice of another place; give each "
            f"volume a folder of its own. Received: slices that differ in {said(strong, slices)}"
        )
    return keywords


def check_same_kinds(
    source: object, places: Sequence[Sequence["Slice"]], keywords: Sequence[str]
) -> None:
    """Refuses places of which one lacks what another has."""
    have = [Counter(values_of(item, keywords) for item in place) for place in places]
    for place, other in zip(places, have, strict=True):
        if other != have[0]:
            both = [*places[0], *place]
            raise InputError(
                f"{source} does not hold the same volumes at every place. Received: "
                f"{said(keywords, both)}, in other numbers at {places[0][0].name} and "
                f"{place[0].name}"
            )


def values_of(item: "Slice", keywords: Sequence[str]) -> tuple[str, ...]:
    """What a slice says of these tags."""
    return tuple(item.kind.get(keyword, "") for keyword in keywords)


def said(keywords: Sequence[str], slices: Sequence["Slice"]) -> str:
    """For messages: each tag with the values that the slices have."""
    words = []
    for keyword in keywords:
        values = list(dict.fromkeys((item.kind.get(keyword) or "none")[:80] for item in slices))
        more = ", ..." if len(values) > _SHOWN else ""
        words.append(f"{keyword} ({', '.join(values[:_SHOWN])}{more})")
    return " and ".join(words)


def _as_written_once(text: str) -> str:
    """A number in one form: 30 and 30.0 are one echo time."""
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text


def _dimensions(tags: Tags, dataset: Any) -> dict[str, str]:
    """The index of the frame along each dimension that is neither of place nor of time."""
    from pydicom.datadict import keyword_for_tag

    pointers = dataset.get("DimensionIndexSequence") or []
    indices = tags.text("DimensionIndexValues", "FrameContentSequence").split("\\")
    found = {}
    for item, index in zip(pointers, indices, strict=False):
        tag = item.get("DimensionIndexPointer")
        keyword = keyword_for_tag(tag) or str(tag)
        if keyword not in _PLACES_AND_TIMES:
            found[keyword] = f"index {index}"
    return found
