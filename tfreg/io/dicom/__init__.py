"""DICOM, a file or a folder: what pictures mean is read from their tags before any is stacked.

``parsing`` reads the tags, ``slices`` what they say of each picture, ``increments`` where the
frames of older multi-frame files are, ``series`` picks the files of one series, ``kinds`` tells
volumes that differ in more than time, ``stacks`` orders places and times, ``pixels`` decodes and
scales.
"""

from tfreg.io.dicom.volumes import read_dicom, read_dicom_frames

__all__ = ["read_dicom", "read_dicom_frames"]
