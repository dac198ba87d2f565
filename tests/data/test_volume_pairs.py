import numpy as np
import pytest

from tfreg.data import copdgene, dirlab, lung_pair, thorax
from tfreg.data.respiration import CASES as DISPLACED
from tfreg.data.volume_pair import VolumePair, lungs_of
from tfreg.errors import InputError

sitk = pytest.importorskip("SimpleITK")
SHAPE = (5, 7, 6)


def write_case(folder, image, points, rng):
    """Small volumes and landmarks in the layout of DIR-Lab; returns what was stored."""
    stored = []
    for name, text in zip(image, points, strict=True):
        for path in (folder / name, folder / text):
            path.parent.mkdir(parents=True, exist_ok=True)
        volume = rng.integers(0, 2000, SHAPE).astype("<i2")
        volume.tofile(folder / name)
        xyz = np.stack([rng.integers(1, n + 1, 4) for n in SHAPE[::-1]], axis=1)
        (folder / text).write_text("".join(f"{x}\t{y}\t{z} \n" for x, y, z in xyz))
        stored.append((volume, xyz))
    return stored


LAYOUTS = {
    "dirlab": (
        *(dirlab, 8, "T00", "Case8Deploy"),
        ("Images/case8_T00.img", "Images/case8_T50.img"),
        tuple(f"extremePhases/case8_dirLab300_{t}_xyz.txt" for t in ("T00", "T50")),
    ),
    "first": (
        *(dirlab, 1, "T00", "Case1Pack"),
        ("Images/case1_T00_s.img", "Images/case1_T50_s.img"),
        tuple(f"ExtremePhases/Case1_300_{t}_xyz.txt" for t in ("T00", "T50")),
    ),
    "copdgene": (
        *(copdgene, 3, "iBH", "copd3/copd3"),
        ("copd3_iBHCT.img", "copd3_eBHCT.img"),
        tuple(f"copd3_300_{t}_xyz_r1.txt" for t in ("iBH", "eBH")),
    ),
}


@pytest.fixture(params=LAYOUTS)
def case(request, tmp_path, monkeypatch, rng):
    reader, number, fixed, folder, images, points = LAYOUTS[request.param]
    monkeypatch.setitem(reader.CASES, number, (SHAPE[::-1], (0.5, 0.75, 2.5)))
    stored = write_case(tmp_path / folder, images, points, rng)
    return reader, number, fixed, tmp_path, folder, stored, images, points


def test_volumes_and_landmarks_are_those_stored(case):
    reader, number, _, root, _, stored, *_ = case
    assert reader.available(root) and not reader.available(root / "elsewhere")
    pair = reader.load(root, number, masks=False)
    assert isinstance(pair, VolumePair) and str(number) in pair.name
    assert pair.spacing == (2.5, 0.75, 0.5) and pair.fixed_mask is None
    for image, points, (volume, xyz) in zip(
        (pair.fixed, pair.moving), (pair.fixed_points, pair.moving_points), stored, strict=True
    ):
        assert image.dtype == np.float32
        np.testing.assert_array_equal(image, volume[::-1] - 1024.0)
        for (z, y, x), (i, j, k) in zip(points.astype(int), xyz, strict=True):
            assert image[z, y, x] == volume[k - 1, j - 1, i - 1] - 1024.0


def test_lungs_that_are_not_there_are_missed(case):
    reader, number, _, root, folder, _, images, _ = case
    np.full(SHAPE, 1024, "<i2").tofile(root / folder / images[0])
    with pytest.raises(InputError, match="no lungs"):
        reader.load(root, number)


def test_fixed_and_moving_can_change_places(case):
    reader, number, fixed, root, *_ = case
    other = {"T00": "T50", "iBH": "eBH"}[fixed]
    one, two = (reader.load(root, number, f, masks=False) for f in (fixed, other))
    np.testing.assert_array_equal(one.fixed, two.moving)
    np.testing.assert_array_equal(one.moving_points, two.fixed_points)


def test_what_is_missing_or_short_is_named(case):
    reader, number, _, root, folder, _, images, points = case
    with pytest.raises(InputError, match=r"must hold (Case2Pack|copd2)"):
        reader.load(root, 2)
    with pytest.raises(ValueError, match="case=11"):
        reader.load(root, 11)
    with pytest.raises(ValueError, match="fixed=T10"):
        reader.load(root, number, "T10")
    text = root / folder / points[1]
    lines = text.read_text()
    for content, message in (
        ("1 2\n", "x y z"),
        ("one two three\n", "landmarks"),
        ("1 2 6\n", "from 1"),
        ("0 2 2\n", "from 1"),
        ("1 2 3\n", "as many"),
    ):
        text.write_text(content)
        with pytest.raises(InputError, match=message):
            reader.load(root, number, masks=False)
    text.write_text(lines)
    image = root / folder / images[0]
    image.write_bytes(image.read_bytes()[:-2])
    with pytest.raises(InputError, match=f"must hold {2 * np.prod(SHAPE)} bytes.*418 bytes"):
        reader.load(root, number)
    (root / folder / images[1]).unlink()
    image.write_bytes(b"00" * int(np.prod(SHAPE)))
    with pytest.raises(InputError, match=r"one file|no file"):
        reader.load(root, number)


def test_cases_are_all_there():
    for reader in (dirlab, copdgene):
        assert list(reader.CASES) == list(range(1, 11))
        assert all(spacing[2] == 2.5 for _, spacing in reader.CASES.values())
    assert len(DISPLACED) == 10


def test_lungs_are_found_by_their_air():
    one = thorax.draw(np.random.default_rng(5))
    found = lungs_of(one.volume) > 0
    assert 2 * (found & one.lungs).sum() / (found.sum() + one.lungs.sum()) > 0.95
    assert not lungs_of(np.zeros((3, 20, 20))).any()


def write_volume(path, array, origin=(0.0, 0.0, 0.0), spacing=(0.8, 0.9, 2.5)):
    image = sitk.GetImageFromArray(array)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return image


@pytest.fixture
def own(tmp_path, rng):
    """A pair of files of different sizes and places, with masks and landmarks."""
    arrays = [rng.integers(-1000, 400, shape).astype("int16") for shape in ((4, 5, 6), (5, 5, 7))]
    origins = ((-10.0, 5.0, 100.0), (-12.0, 6.0, 90.0))
    files = {}
    for name, array, origin in zip(("fixed", "moving"), arrays, origins, strict=True):
        files[name], files[f"{name}_mask"] = tmp_path / f"{name}.mha", tmp_path / f"{name}_m.mha"
        image = write_volume(files[name], array, origin)
        mask = np.zeros(array.shape, "uint8")
        mask[1:3, 2:4, 3] = 5
        write_volume(files[f"{name}_mask"], mask, origin)
        files[f"{name}_points"] = tmp_path / f"{name}.txt"
        place = image.TransformIndexToPhysicalPoint((2, 3, 1))
        heading = "point\n1\n" if name == "fixed" else ""
        files[f"{name}_points"].write_text(heading + " ".join(map(str, place)) + "\n")
    return files, arrays


def test_anyones_own_pair(own):
    files, arrays = own
    pair = lung_pair.read(**files)
    np.testing.assert_array_equal(pair.fixed, arrays[0])
    np.testing.assert_array_equal(pair.moving, arrays[1])
    assert pair.spacing == pytest.approx((2.5, 0.9, 0.8)) and pair.name == "fixed.mha"
    np.testing.assert_allclose(pair.fixed_points, [[1, 3, 2]], atol=1e-6)
    np.testing.assert_allclose(pair.moving_points, [[1, 3, 2]], atol=1e-6)
    assert pair.fixed_mask.sum() == 4 and pair.shift == (0.0, 0.0, 0.0)
    plain = lung_pair.read(files["fixed"], files["moving"])
    assert plain.fixed_mask is None and plain.moving_points is None
    with pytest.raises(InputError, match="both masks"):
        _ = plain.shift


def test_files_that_do_not_fit_are_named(own, tmp_path):
    files, arrays = own
    with pytest.raises(InputError, match=r"nothing\.mha is missing"):
        lung_pair.read(tmp_path / "nothing.mha", files["moving"])
    with pytest.raises(InputError, match="both volumes, or for none"):
        lung_pair.read(files["fixed"], files["moving"], fixed_points=files["fixed_points"])
    with pytest.raises(InputError, match="of the size of"):
        lung_pair.read(**{**files, "moving_mask": files["fixed_mask"]})
    files["moving_points"].write_text("1 2 3\n4 5 6\n")
    with pytest.raises(InputError, match="1 and 2"):
        lung_pair.read(**files)
    files["moving_points"].write_text("1 2\n")
    with pytest.raises(InputError, match="x y z"):
        lung_pair.read(**files)
    write_volume(files["moving"], arrays[1], spacing=(1, 1, 1))
    with pytest.raises(InputError, match="one spacing"):
        lung_pair.read(files["fixed"], files["moving"])
    turned = sitk.GetImageFromArray(arrays[1])
    turned.SetDirection((0, 1, 0, 1, 0, 0, 0, 0, 1))
    sitk.WriteImage(turned, str(files["moving"]))
    with pytest.raises(InputError, match="resample it first"):
        lung_pair.read(files["fixed"], files["moving"])


def test_an_absent_lung_pair_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    assert not lung_pair.available()
    with pytest.raises(InputError, match=r"ct_lung_pair\.npz"):
        lung_pair.load()
    (tmp_path / lung_pair.PACK).write_bytes(b"no archive")
    with pytest.raises(InputError, match="prepared file"):
        lung_pair.load()


@pytest.mark.real_data
def test_the_lung_pair():
    pair = lung_pair.load()
    assert pair.fixed.shape == (129, 157, 115) and pair.moving.shape == (131, 166, 115)
    assert pair.fixed.min() >= -1024 and len(pair.fixed_points) == 26
    distance = (pair.moving_points - pair.fixed_points - pair.shift) * pair.spacing
    assert np.linalg.norm(distance, axis=1).mean() == pytest.approx(5.02, abs=0.01)
    for mask, points in (
        (pair.fixed_mask, pair.fixed_points),
        (pair.moving_mask, pair.moving_points),
    ):
        assert mask[tuple(np.rint(points).astype(int).T)].mean() > 0.9


@pytest.mark.real_data
def test_spacings_are_those_of_the_landmarks():
    with np.load(lung_pair._file().with_name("landmarks_dirlab4dct.npz")) as pack:
        for case, (size, spacing) in dirlab.CASES.items():
            y, x, z = pack[f"case{case}_spacing_yxz"]
            assert (x, y, z) == pytest.approx(spacing, abs=1e-6)
            for end in ("EE", "EI"):
                points = pack[f"case{case}_lm300_{end}_yxz"]
                assert (points.max(axis=0) <= np.array(size)[[1, 0, 2]]).all()
