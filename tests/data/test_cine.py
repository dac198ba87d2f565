import hashlib
import shutil

import numpy as np
import pytest

from tfreg.data import PairSampler, acdc, cine, sunnybrook
from tfreg.data.slices import SPLITS, patients
from tfreg.errors import InputError

sitk = pytest.importorskip("SimpleITK")


def write_acdc(root, name, frames, ends, whole=True):
    """One patient as its publisher gives it: images (t, z, y, x) on anisotropic pixels."""
    folder = root / name
    folder.mkdir(parents=True)
    info = f"ED: {ends[0]}\nES: {ends[1]}\nGroup: DCM\nHeight: 184.0\nNbFrame: {len(frames)}\n"
    (folder / "Info.cfg").write_text(info)

    def write(array, suffix, spacing):
        image = sitk.GetImageFromArray(array, isVector=False)
        image.SetSpacing(spacing)
        sitk.WriteImage(image, str(folder / f"{name}_{suffix}.nii.gz"))

    labels = {}
    for end in ends:
        label = np.zeros(frames.shape[1:], "uint8")
        label[:, 20 : 40 - end, 25:45] = 2
        label[:, 24:30, 30:36] = 3
        labels[end] = label
        write(label, f"frame{end:02d}_gt", (1.5, 1.25, 10.0))
        write(frames[end - 1], f"frame{end:02d}", (1.5, 1.25, 10.0))
    if whole:
        write(frames, "4d", (1.5, 1.25, 10.0, 1.0))
    return labels


@pytest.fixture
def listed(monkeypatch):
    """Makes a split, or all, a list of the patient named, so that a test needs no others."""

    def only(name="", **splits):
        for reader in (acdc, sunnybrook):
            monkeypatch.setattr(
                reader, "patients", lambda source, split: frozenset({splits.get(split, name)})
            )

    return only


@pytest.mark.parametrize("whole", [True, False])
def test_acdc_as_its_publisher_gives_it(tmp_path, rng, listed, whole):
    listed("patient015")
    frames = rng.integers(0, 900, (5, 3, 60, 70)).astype("int16")
    labels = write_acdc(tmp_path / "training", "patient015", frames, (1, 4), whole)
    write_acdc(tmp_path / "training", "patient001", frames, (1, 4), whole)
    found = list(acdc.slices(tmp_path, "validation"))
    assert [(one.patient, one.number) for one in found] == [("patient015", k) for k in range(3)]
    for one in found:
        assert one.spacing == pytest.approx((1.25, 1.5))  # rows before columns
        assert one.gap == pytest.approx(10.0)
        assert len(one.images) == (5 if whole else 2) and one.images.dtype == np.float32
        np.testing.assert_array_equal(one.images[one.systole], frames[3, one.number])
        np.testing.assert_array_equal(one.labels[one.diastole], labels[1][one.number])
        np.testing.assert_array_equal(one.labels[one.systole], labels[4][one.number])
    assert acdc.is_official(tmp_path) and acdc.is_official(tmp_path / "training")


def test_patients_scanned_finer_are_halved(tmp_path, rng, listed):
    listed("patient057")
    frames = rng.integers(0, 900, (5, 2, 61, 70)).astype("int16")
    labels = write_acdc(tmp_path, "patient057", frames, (1, 4))
    one, _ = acdc.slices(tmp_path, "test")
    assert one.spacing == pytest.approx((2.5, 3.0)) and one.images.shape == (5, 30, 35)
    np.testing.assert_allclose(one.images[2, 4, 7], frames[2, 0, 8:10, 14:16].mean())
    np.testing.assert_array_equal(one.labels[0], labels[1][0, :60:2, ::2])


def test_missing_patients_are_named(tmp_path, rng, scd):
    frames = rng.integers(0, 900, (5, 1, 60, 70)).astype("int16")
    write_acdc(tmp_path / "a", "patient015", frames, (1, 4))
    for reader, root, name in ((acdc, tmp_path / "a", "patient016"), (sunnybrook, scd[0], "SC-N-")):
        with pytest.raises(InputError, match=f"validation split. Missing: .*{name}"):
            list(reader.slices(root, "validation"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "Info.cfg").write_text("ED: one\n"), "Info.cfg must name"),
        (lambda folder: (folder / "patient015_frame01_gt.nii.gz").unlink(), "frame01_gt"),
        (lambda folder: (folder / "patient015_4d.nii.gz").write_bytes(b"x"), "4d.nii.gz"),
        (lambda folder: (folder / "Info.cfg").write_text("ED: 1\nES: 9\n"), "frame09"),
        (
            lambda folder: sitk.WriteImage(
                sitk.GetImageFromArray(np.zeros((2, 3, 60, 70), "int16"), isVector=False),
                str(folder / "patient015_4d.nii.gz"),
            ),
            "do not fit each other",
        ),
    ],
)
def test_damaged_acdc_is_named(tmp_path, rng, listed, damage, message):
    listed("patient015")
    frames = rng.integers(0, 900, (5, 3, 60, 70)).astype("int16")
    write_acdc(tmp_path, "patient015", frames, (1, 4))
    damage(tmp_path / "patient015")
    with pytest.raises(InputError, match=message):
        list(acdc.slices(tmp_path, "validation"))


def write_dicom(path, pixels, place, time, spacing=(1.5, 1.25)):
    image = sitk.GetImageFromArray(pixels[None])
    image.SetSpacing((*spacing[::-1], 8.0))
    image.SetMetaData("0020|1041", f"{place:.2f}")
    image.SetMetaData("0018|1060", time if isinstance(time, str) else f"{time:.1f}")
    image.SetMetaData("0008|0060", "MR")
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    writer.Execute(image)


def square(low, high):
    return "".join(
        f"{x:.2f} {y:.2f}\n" for y, x in ((low, low), (low, high), (high, high), (high, low))
    )


@pytest.fixture
def scd(tmp_path, rng):
    """Two slices of four time points of one patient, in the layout of the Cardiac Atlas Project."""
    (tmp_path / "scd_patientdata.csv").write_text(
        "PatientID,OriginalID,Gender,Age,Pathology\nSCD0000501,SC-HF-I-6,Male,60,Heart failure\n"
        "SCD0000101,SC-HF-I-1,Male,50,Heart failure\n"
    )
    series = tmp_path / "SCD_IMAGES_01" / "SCD0000501" / "CINESAX_300"
    series.mkdir(parents=True)
    (series.parent / "CINELAX_301").mkdir()
    images = rng.integers(0, 1000, (2, 4, 40, 50)).astype("int16")
    for place in range(2):
        for time in range(4):
            number = 1 + 4 * place + time
            # Slices from apex to base; the last image of a slice comes first in the cycle.
            shown = (time + 1) % 4
            write_dicom(
                series / f"IM-0003-{number:04d}.dcm", images[place, shown], -8.0 * place, 50 * shown
            )
    contours = tmp_path / "SCD_ManualContours" / "SC-HF-I-06" / "contours-manual" / "IRCCI-expert"
    contours.mkdir(parents=True)
    for number, inner in ((1, (10.5, 14.5)), (4, (8.5, 18.5))):
        (contours / f"IM-0001-{number:04d}-icontour-manual.txt").write_text(square(*inner))
    (contours / "IM-0001-0004-ocontour-manual.txt").write_text(square(5.5, 21.5))
    return tmp_path, images


def test_sunnybrook_as_its_publisher_gives_it(scd, listed):
    listed("SC-HF-I-6")
    root, images = scd
    found = list(sunnybrook.slices(root, "test"))
    assert [one.patient for one in found] == ["SC-HF-I-6"] * 2
    lower, upper = found  # by place in mm
    np.testing.assert_array_equal(upper.images, images[0])
    np.testing.assert_array_equal(lower.images, images[1])
    assert upper.spacing == pytest.approx((1.5, 1.25)) and lower.labels == {}
    assert (upper.diastole, upper.systole) == (0, 1)  # image 4 shows time 0, image 1 time 1
    assert (upper.labels[0] == 3).sum() == 100 and (upper.labels[1] == 3).sum() == 16
    assert (upper.labels[0] == 2).sum() == 16**2 - 100 and upper.labels[0][9, 9] == 3


def test_the_whole_heart_decides_which_end_is_diastole(scd, listed):
    listed("SC-HF-I-6")
    root, _ = scd
    contours = next(root.glob("SCD_ManualContours/*/*/*"))
    # In the other slice (images 5 to 8) the cavity is larger in systole; a third time point and a
    # slice with one end only do not matter.
    for number, inner in ((5, (10.5, 15.5)), (8, (10.5, 14.5)), (2, (3.5, 39.5))):
        (contours / f"IM-0001-{number:04d}-icontour-manual.txt").write_text(square(*inner))
    lower, upper = sunnybrook.slices(root, "test")
    assert (upper.diastole, upper.systole) == (0, 1) == (lower.diastole, lower.systole)
    assert sorted(upper.labels) == [0, 1, 2]
    (contours / "IM-0001-0005-icontour-manual.txt").unlink()
    (contours / "IM-0001-0002-icontour-manual.txt").unlink()
    lower, upper = sunnybrook.slices(root, "test")
    assert (lower.diastole, lower.systole) == (0, None) and list(lower.labels) == [0]


@pytest.mark.parametrize("text", ["", "1 2\n3 4\n", "a b\n", "1 2 3\n4 5 6\n7 8 9\n"])
def test_a_damaged_contour_is_named(scd, listed, text):
    listed("SC-HF-I-6")
    root, _ = scd
    path = next(root.glob("SCD_ManualContours/*/*/*/*0001-icontour*"))
    path.write_text(text)
    with pytest.raises(InputError, match="0001-icontour"):
        list(sunnybrook.slices(root, "test"))


def test_a_damaged_image_or_list_is_named(scd, listed):
    listed("SC-HF-I-6")
    root, _ = scd
    path = next(root.glob("*/*/CINESAX_300/*0002.dcm"))
    write_dicom(path, np.zeros((40, 50), "int16"), 0.0, "")
    with pytest.raises(InputError, match=r"0002\.dcm must have a TriggerTime"):
        list(sunnybrook.slices(root, "test"))
    path.write_bytes(b"x")
    with pytest.raises(InputError, match=r"0002\.dcm"):
        list(sunnybrook.slices(root, "test"))
    (root / "scd_patientdata.csv").write_text("name\nx\n")
    with pytest.raises(InputError, match="PatientID"):
        list(sunnybrook.slices(root, "test"))


@pytest.mark.parametrize("reader", [acdc, sunnybrook])
def test_an_empty_folder_is_named(tmp_path, reader):
    with pytest.raises(InputError, match="must hold"):
        list(reader.slices(tmp_path, "train"))
    (tmp_path / reader.PACK).write_bytes(b"no archive")
    with pytest.raises(InputError, match="prepared file"):
        list(reader.slices(tmp_path, "train"))


def test_slices_are_cropped_about_the_heart_or_padded(tmp_path, monkeypatch, rng, listed):
    listed("patient015")
    frames = rng.integers(1, 900, (5, 2, 60, 200)).astype("int16")
    write_acdc(tmp_path / "acdc", "patient015", frames, (1, 4))
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    one, other = cine.slices("validation", ("acdc",), size=100)
    assert one.patient == "acdc patient015" and one.images.shape == (5, 100, 100)
    whole = np.zeros((60, 200))
    whole[20:39, 25:45] = 1
    assert (one.labels[0] > 0).sum() == whole.sum()
    # Columns begin at the image's own border: the heart lies near it.
    np.testing.assert_array_equal(other.images[:, 20:80, :60], frames[:, 1, :, :60])
    np.testing.assert_array_equal(other.images[:, 0], other.images[:, 20])
    small = next(cine.slices("validation", ("acdc",), size=32))
    assert np.abs(np.argwhere(small.labels[0]).mean(axis=0) - 15.5).max() < 1
    with pytest.raises(InputError, match=r"acdc patient015|patient015, slice 0.*16 pixels"):
        next(cine.slices("validation", ("acdc",), size=16))
    found = cine.frames("validation", ("acdc", "phantom"), size=64)
    assert (found.images.min(axis=(1, 2)) == 0).all() and (found.images.max(axis=(1, 2)) == 1).all()
    assert len(set(found.slices)) == 2 + 10 and found.images.dtype == np.float32
    pairs = PairSampler(found.images, found.slices, batch_size=64)
    fixed, moving = pairs.indices(0)
    assert (found.slices[fixed] == found.slices[moving]).all() and (fixed != moving).all()


def test_absent_data_and_unknown_names(tmp_path, monkeypatch):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    (tmp_path / "acdc").mkdir()  # an empty folder is no data
    assert cine.available(("phantom",)) and not cine.available(("acdc", "phantom"))
    with pytest.raises(InputError, match="TFREG_DATA"):
        list(cine.slices("train", ("sunnybrook",)))
    with pytest.raises(ValueError, match="split="):
        cine.frames("testing", ("phantom",))
    for sources in ((), ("ukbb",)):
        with pytest.raises(ValueError, match="sources="):
            cine.slices("train", sources)


LISTS = {  # who was in which split when the first weights were trained
    "acdc": "43a44c17565f2c0d363b500d8b247fac2fb3a71d332d3441f1c4d31208ceaf73",
    "sunnybrook": "a838cb249310429c3ca02417471494f955f66f51301ac3be9c72c1c96077d94f",
}


@pytest.mark.parametrize(("source", "counts"), [("acdc", (70, 10, 10)), ("sunnybrook", (15,) * 3)])
def test_nobody_changes_the_split(source, counts):
    lists = [patients(source, split) for split in SPLITS]
    assert tuple(map(len, lists)) == counts
    assert len(frozenset.union(*lists)) == sum(counts)
    text = "\n".join(" ".join(sorted(names)) for names in lists)
    assert hashlib.sha256(text.encode()).hexdigest() == LISTS[source]


@pytest.mark.real_data
@pytest.mark.parametrize("source", ["acdc", "sunnybrook"])
def test_the_prepared_files_agree_with_the_lists(source):
    numbers = {"acdc": (664, 112, 80), "sunnybrook": (35, 11, 11)}[source]
    for split, number in zip(SPLITS, numbers, strict=True):
        found = list(cine.slices(split, (source,)))
        assert len(found) == number
        assert {one.patient.split()[1] for one in found} <= patients(source, split)
        annotated = [one for one in found if len(one.labels) == 2]
        areas = np.array(
            [[(one.labels[f] == 3).sum() for f in (one.diastole, one.systole)] for one in annotated]
        )
        assert areas[:, 0].sum() > 1.2 * areas[:, 1].sum()


class TestBuilders:
    """The same slices through TensorFlow Datasets."""

    @pytest.fixture(autouse=True)
    def builders(self):
        pytest.importorskip("tensorflow_datasets")
        from tfreg.data import builders

        self.builders = builders

    def prepared(self, kind, root, tmp_path):
        import tensorflow_datasets as tfds

        builder = kind(data_dir=str(tmp_path / "prepared"))
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=str(root))
        )
        return builder

    def test_acdc(self, tmp_path, rng, listed):
        listed(train="patient001", validation="patient015", test="patient017")
        frames = rng.integers(0, 900, (5, 3, 60, 70)).astype("int16")
        labels = write_acdc(tmp_path / "raw", "patient015", frames, (1, 4))
        for name in ("patient001", "patient017"):
            shutil.copytree(tmp_path / "raw" / "patient015", tmp_path / "raw" / name)
            for path in (tmp_path / "raw" / name).glob("patient015*"):
                path.rename(path.with_name(path.name.replace("patient015", name)))
        builder = self.prepared(self.builders.Acdc, tmp_path / "raw", tmp_path)
        counts = {name: split.num_examples for name, split in builder.info.splits.items()}
        assert counts == {"train": 3, "validation": 3, "test": 3}
        one = {e["number"]: e for e in builder.as_dataset(split="validation").as_numpy_iterator()}[
            2
        ]
        np.testing.assert_array_equal(one["images"], frames[:, 2])
        np.testing.assert_array_equal(one["labels"], [labels[1][2], labels[4][2]])
        assert one["frames"].tolist() == [0, 3] and one["patient"] == b"patient015"
        assert "Bernard" in builder.info.citation

    def test_sunnybrook(self, scd, tmp_path, listed):
        listed(train="SC-HF-I-1", validation="SC-HF-I-5", test="SC-HF-I-6")
        root, images = scd
        # Every split needs an example.
        source = root / "SCD_IMAGES_01" / "SCD0000501"
        rows = ("SCD0000501,SC-HF-I-6", "SCD0000101,SC-HF-I-1", "SCD0000401,SC-HF-I-05")
        (root / "scd_patientdata.csv").write_text("\n".join(["PatientID,OriginalID", *rows]))
        for name in ("SCD0000101", "SCD0000401"):
            shutil.copytree(source, root / name)
        builder = self.prepared(self.builders.Sunnybrook, root, tmp_path)
        found = {e["number"]: e for e in builder.as_dataset(split="test").as_numpy_iterator()}
        np.testing.assert_array_equal(found[1]["images"], images[0])
        np.testing.assert_allclose(found[1]["spacing"], (1.5, 1.25), rtol=1e-6)
        assert found[0]["frames"].tolist() == [-1, -1] and found[1]["frames"].tolist() == [0, 1]
        assert builder.info.splits["validation"].num_examples == 2

    def test_prepared_files(self, tmp_path, rng, listed):
        listed(train="patient001", validation="patient015", test="patient017")
        images = rng.integers(0, 1023, (2, 3, 16, 16)).astype("uint16")
        labels = rng.integers(0, 4, (2, 3, 16, 16)).astype("uint8")
        np.savez(
            tmp_path / acdc.PACK,
            **{"ed": images[0], "es": images[1], "seg_ed": labels[0], "seg_es": labels[1]},
            patient=np.array([1, 15, 17]),
            slice=np.array([3, 4, 5]),
        )
        builder = self.prepared(self.builders.Acdc, tmp_path, tmp_path)
        (one,) = builder.as_dataset(split="validation").as_numpy_iterator()
        np.testing.assert_array_equal(one["images"], images[:, 1])
        np.testing.assert_array_equal(one["labels"], labels[:, 1])
        assert one["number"] == 4 and one["frames"].tolist() == [0, 1]
