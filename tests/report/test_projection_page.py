import re

import numpy as np

from tfreg.geometry.pose import PARAMETERS
from tfreg.registration import ProjectionRegistration
from tfreg.report.projection import files, html, overlay


def case(views=1):
    rng = np.random.default_rng(0)
    images = tuple(rng.random((20, 30)) for _ in range(views))
    answer = ProjectionRegistration(
        np.arange(6.0),
        *(np.array(0.5), np.array(0.9), np.array(22)),
        1.5,
        *(images, images, images),
        centre=np.zeros(3),
    )
    pose = dict(zip(PARAMETERS, map(float, range(6)), strict=True))
    found = {"pose": pose, "initial": {name: 0.0 for name in pose}, "renderings": 22}
    return answer, {**found, "similarity_before": 0.5, "similarity_after": 0.9, "seconds": 1.5}


def test_the_page_shows_all_and_requests_nothing():
    page = html(*case(2))
    assert page.count("<img ") == 10 and "Camera 2" in page
    assert not re.search(r"(src|href)=.(?!data:)", page)
    assert "<td>t_beta</td><td>0.000</td><td>5.000</td><td>°</td>" in page
    assert "Camera" not in html(*case(1))


def test_files():
    found = files(*case(2))
    assert set(found) == {"report.html", "overlay-1.png", "overlay-2.png"}
    assert found["report.html"].decode() == html(*case(2))
    assert found["overlay-2.png"] == overlay(case(2)[0].xrays[1], case(2)[0].after[1])
    assert set(files(*case(1))) == {"report.html", "overlay.png"}


def test_edges_are_of_the_image(tmp_path):
    from PIL import Image

    image = np.zeros((20, 30))
    image[:, 15:] = 1.0
    path = tmp_path / "overlay.png"
    path.write_bytes(overlay(np.tile(np.linspace(0, 1, 30), (20, 1)), image))
    shown = np.asarray(Image.open(path).convert("RGB")).astype(int)
    coloured = shown[..., 0] - shown[..., 2] > 50
    assert coloured[:, 14:16].all() and coloured.sum() == 40
