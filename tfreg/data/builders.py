"""TensorFlow Datasets builders of the cine MRI data sets; needs ``pip install "tfreg[tfds]"``.

>>> from tfreg.data.builders import Acdc  # doctest: +SKIP
>>> builder = Acdc()  # doctest: +SKIP
>>> builder.download_and_prepare(  # doctest: +SKIP
...     download_config=tfds.download.DownloadConfig(manual_dir="/data/ACDC")
... )
>>> slices = builder.as_dataset(split="train")  # doctest: +SKIP
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from tfreg.data import acdc, sunnybrook
from tfreg.data.slices import SPLITS


def _tensor(shape: tuple[int | None, ...], dtype: type) -> tfds.features.Tensor:
    return tfds.features.Tensor(shape=shape, dtype=dtype, encoding="zlib")


class _CineSlices:
    """One example per slice; see :class:`tfreg.data.slices.CineSlice` for the features.

    Frames that nobody annotated are -1, labels that nobody drew are 0, and a spacing that the
    source lost is 0.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012 (read by the base class)
    reader: ModuleType
    citation: str
    homepage: str

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.reader.__doc__,
            citation=self.citation,
            homepage=self.homepage,
            features=tfds.features.FeaturesDict(
                {
                    "patient": tfds.features.Text(),
                    "number": np.int64,
                    "images": _tensor((None, None, None), np.float32),
                    "spacing": _tensor((2,), np.float32),
                    "frames": _tensor((2,), np.int64),
                    "labels": _tensor((2, None, None), np.uint8),
                }
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        return {split: self._generate_examples(dl_manager.manual_dir, split) for split in SPLITS}

    def _generate_examples(self, folder: Any, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for one in self.reader.slices(folder, split):
            ends = (one.diastole, one.systole)
            nothing = np.zeros(one.images.shape[1:], "uint8")
            yield (
                f"{one.patient} {one.number:03d}",
                {
                    "patient": one.patient,
                    "number": one.number,
                    "images": one.images,
                    "spacing": np.array(one.spacing or (0, 0), "float32"),
                    "frames": np.array([-1 if end is None else end for end in ends]),
                    "labels": np.stack([one.labels.get(end, nothing) for end in ends]),
                },
            )


class Acdc(_CineSlices, tfds.core.GeneratorBasedBuilder):
    """ACDC from its official NIfTI files, or the prepared file; see :mod:`tfreg.data.acdc`."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir must hold the folders patient001 and so on of the ACDC training set, which its "
        "publisher gives to those who register."
    )
    reader = acdc
    citation = acdc.SOURCE.citation
    homepage = "https://www.creatis.insa-lyon.fr/Challenge/acdc/"


class Sunnybrook(_CineSlices, tfds.core.GeneratorBasedBuilder):
    """Sunnybrook Cardiac Data from its official files, or the prepared file; see its module."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir must hold scd_patientdata.csv, the images (SCD0000101/CINESAX_300/*.dcm and so "
        "on, there or one folder further down) and SCD_ManualContours of Sunnybrook Cardiac Data."
    )
    reader = sunnybrook
    citation = sunnybrook.SOURCE.citation
    homepage = "https://www.cardiacatlas.org/sunnybrook-cardiac-data/"
