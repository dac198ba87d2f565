"""DICOM files with any tags, written by pydicom."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def nested(tags):
    """A dataset whose dicts are sequences of one item and whose lists of dicts are sequences."""
    dataset = Dataset()
    for keyword, value in tags.items():
        if isinstance(value, dict):
            value = [nested(value)]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            value = [nested(item) for item in value]
        setattr(dataset, keyword, value)
    return dataset


@pytest.fixture
def write_dicom():
    """Writes ``(rows, columns)`` or ``(frames, rows, columns)``; a tag of None is left out."""

    def write(path, array, *, preamble=True, syntax=ExplicitVRLittleEndian, bits=None, **tags):
        array = np.asarray(array)
        bits = bits or 8 * array.dtype.itemsize
        instance = generate_uid()
        told = {
            "SOPClassUID": MR,
            "SOPInstanceUID": instance,
            "SeriesInstanceUID": "1.2.3.4",
            "Modality": "MR",
            "Rows": array.shape[-2],
            "Columns": array.shape[-1],
            "NumberOfFrames": len(array) if array.ndim == 3 else None,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 8 * array.dtype.itemsize,
            "BitsStored": bits,
            "HighBit": bits - 1,
            "PixelRepresentation": int(array.dtype.kind == "i"),
            "PixelSpacing": [0.8, 0.7],
            "SliceThickness": 2.5,
            "ImagePositionPatient": [-30, 40, 50],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            **tags,
        }
        dataset = nested({key: value for key, value in told.items() if value is not None})
        little = syntax != pydicom.uid.ExplicitVRBigEndian
        dataset.PixelData = array.astype(array.dtype.newbyteorder("<" if little else ">")).tobytes()
        dataset["PixelData"].VR = "OB" if array.dtype.itemsize == 1 else "OW"
        if preamble:
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.save_as(path, enforce_file_format=True)
        else:
            implicit = syntax == ImplicitVRLittleEndian
            dataset.save_as(path, implicit_vr=implicit, little_endian=little)
        return path

    return write


@pytest.fixture
def write_series(write_dicom):
    """Writes a folder of slices 2.5 mm apart; ``each`` is a list of tags slice by slice."""

    def write(folder, volume, each=None, **tags):
        folder.mkdir(exist_ok=True)
        for number, array in enumerate(volume):
            own = {
                "ImagePositionPatient": [-30, 40, 50 + 2.5 * number],
                "InstanceNumber": number + 1,
                **tags,
                **(each[number] if each else {}),
            }
            # names run against the order of place
            write_dicom(folder / f"{90 - number}.dcm", array, **own)
        return folder

    return write
