import numpy as np
import pytest

from tfreg.data import brain_pairs
from tfreg.errors import InputError


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """Writes a file in the official layout: three pairs of each group, each pixel its number."""
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))

    def write(**changes):
        arrays = {}
        for k, modality in enumerate(("ct", "pet", "spect")):
            numbers = (10 * k + np.arange(3, dtype="uint8"))[:, None, None]
            mri = np.broadcast_to(100 + numbers, (3, 256, 256))
            own = np.broadcast_to(numbers, (3, 256, 256))
            arrays[f"{modality}_mri"] = mri
            arrays[modality] = own if k == 0 else own[..., None] * np.ones(3, "uint8")
            arrays[f"{modality}_name"] = np.array(["10001", "20001", "20002"])
            arrays[f"{modality}_split"] = np.array(["train", "test", "val" if k != 1 else "train"])
        np.savez(tmp_path / brain_pairs.PACK, **{**arrays, **changes})

    return write


def test_the_grey_image_comes_first_and_training_pairs_never(pack):
    pack()
    assert brain_pairs.available()
    ct = brain_pairs.pairs("ct-mri")
    assert (ct.first == 1).all() and (ct.second == 101).all() and ct.names.tolist() == ["20001"]
    assert (brain_pairs.pairs("ct-mri", "validation").first == 2).all()
    spect = brain_pairs.pairs("spect-mri", "test")
    assert spect.second.shape == (1, 256, 256, 3) and (spect.second == 21).all()
    assert (spect.first == 121).all()
    with pytest.raises(ValueError, match="split=train"):
        brain_pairs.pairs("ct-mri", "train")
    with pytest.raises(InputError, match="no validation pair of pet-mri"):
        brain_pairs.pairs("pet-mri", "validation")


@pytest.mark.parametrize("group", brain_pairs.GROUPS)
def test_phantoms_show_one_head_by_two_modalities(group):
    found = brain_pairs.pairs(group, "test", "phantom")
    again = brain_pairs.pairs(group, "test", "phantom")
    np.testing.assert_array_equal(found.second, again.second)
    assert found.first.dtype == found.second.dtype == np.uint8 and len(set(found.names)) == 6
    other = found.second if found.second.ndim == 3 else found.second.max(axis=-1)
    shown = [image > 8 for image in (found.first, other)]
    assert (shown[0] & shown[1]).sum() > 0.8 * shown[1].sum()  # they lie on each other
    correlation = np.corrcoef(found.first.ravel(), other.ravel())[0, 1]
    assert correlation < 0.9  # and are no copies


def test_what_is_missing_or_wrong_is_named(pack):
    with pytest.raises(InputError, match=r"fusion_harvard\.npz, or use phantom heads"):
        brain_pairs.pairs("ct-mri")
    pack(pet=np.zeros((3, 256, 256), "uint8"))
    with pytest.raises(InputError, match=r"Received: pet \(3, 256, 256\), its MRI"):
        brain_pairs.pairs("pet-mri")
    with pytest.raises(ValueError, match="group=mri-ct"):
        brain_pairs.pairs("mri-ct")
