"""``tfreg register2d3d CT XRAY --camera CAM -o OUT``."""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfreg.errors import InputError

if TYPE_CHECKING:
    from tfreg.geometry import ConeBeam
    from tfreg.image import Image

LEVELS = (4, 2, 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.description += (
        " Answers the pose of the volume before the first camera: t_x, t_y, t_z in mm, from the "
        "source to the volume's centre, and t_theta (in the plane), t_alpha, t_beta in degrees; "
        "zeros are a frontal view, t_beta = 90 or -90 a lateral one."
    )
    add = parser.add_argument
    add("volume", type=Path, help="the CT, in HU")
    add("xray", type=Path, nargs="+", help="one X-ray, or one for each camera")
    add(
        "--camera",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="how each X-ray was taken: text with matrices, JSON, or DICOM with its distances; if "
        "absent, the X-ray's own tags",
    )
    add(
        "--initial",
        type=float,
        nargs=6,
        metavar=("X", "Y", "Z", "THETA", "ALPHA", "BETA"),
        help="the pose to start from (default: a frontal view of the first camera, the volume's "
        "centre where the middle rays of the cameras meet; of one camera four fifths of the way "
        "from source to detector, or at the origin of its frame where its file holds a matrix)",
    )
    add("-m", "--model", metavar="PRESET", help="a network of the zoo finds the pose first")
    add("--mask", type=Path, nargs="+", help="images, not 0 where pixels of each X-ray count")
    add("--similarity", choices=("gc", "ncc"), default="gc", help="gc: of gradient images")
    add(
        "--levels",
        type=int,
        nargs="+",
        default=list(LEVELS),
        help="pixels that become one, level by level (default: 4 2 1)",
    )
    add("--attenuation", action="store_true", help="the volume holds attenuation, not HU")
    add(
        "--exposure",
        action="store_true",
        help="the X-ray is dark behind bone: what reached the detector; else bright",
    )
    add("-o", "--out", type=Path, required=True, help="folder for what is found")


def run(options: argparse.Namespace) -> None:
    """Registers the volume and writes pose, transform, pictures and the page."""
    import tfreg.supported  # noqa: F401  first, since what follows imports Keras
    from tfreg import io, transforms
    from tfreg.registration import register_projection
    from tfreg.report.projection import files

    volume = io.read(options.volume)
    if volume.geometry.ndim != 3:
        raise InputError(f"{options.volume} must be a volume. Received: {volume.geometry.ndim}-D")
    cameras = _cameras(options)
    xrays = [_picture(path) for path in options.xray]
    masks = [_picture(path) for path in options.mask] if options.mask else [None] * len(xrays)
    if len(masks) != len(xrays):
        raise InputError(f"--mask takes one image for each X-ray. Received: {len(masks)}")
    initial = options.initial or _initial(options, cameras)
    start = initial
    if options.model is not None:
        start = _by_network(options, volume, xrays, cameras, initial)
    answer = register_projection(
        volume,
        xrays,
        cameras,
        start,
        options.similarity,
        masks,
        options.levels,
        attenuates=options.attenuation,
        exposure=options.exposure,
    )
    found = _described(volume, cameras, answer, start)
    if options.model is not None:
        found["given"] = dict(zip(found["pose"], map(float, initial), strict=True))
    contents = {"pose.json": (json.dumps(found, indent=2) + "\n").encode(), **files(answer, found)}
    writers: dict[str, Any] = {
        name: partial(Path.write_bytes, data=content) for name, content in contents.items()
    }
    transform = _transform(volume, cameras, answer)
    writers |= transforms.writers(transform, options.out / "transform.h5")[0]
    io.write_together(options.out, writers)
    values = ", ".join(f"{value:.2f}" for value in answer.pose)
    before, after = float(answer.similarity_before), float(answer.similarity_after)
    print(
        f"{options.similarity} {before:.3f} before, {after:.3f} after, "
        f"{int(answer.renderings)} renderings, {answer.seconds:.1f} s; pose {values}; "
        f"written to {options.out}"
    )


def _initial(options: argparse.Namespace, cameras: list["ConeBeam"]) -> list[float]:
    """Where the views of all cameras meet; of one, between its detector and the source.

    A matrix alone does not say where that is: then it is the origin of the common frame, which is
    where the camera was calibrated.
    """
    from tfreg.geometry import meeting
    from tfreg.io.cameras import states_distance

    if len(cameras) > 1:
        return [*meeting(cameras).tolist(), 0.0, 0.0, 0.0]
    path = (options.camera or options.xray)[0]
    if states_distance(path):
        return [0.0, 0.0, 0.8 * cameras[0].source_detector, 0.0, 0.0, 0.0]
    place = cameras[0].translation
    if place[2] <= 0:
        raise InputError(
            "--initial X Y Z THETA ALPHA BETA is needed: a camera matrix does not say how far the "
            f"detector is, nor is there a frame before it. Received: {path}"
        )
    return [*place, 0.0, 0.0, 0.0]


def _cameras(options: argparse.Namespace) -> list["ConeBeam"]:
    from tfreg import io

    paths = options.camera
    if paths is None:
        paths = options.xray
        if any(path.suffix.lower() != ".dcm" for path in paths):
            raise InputError(
                "--camera FILE is needed: only DICOM (.dcm) says how an X-ray was taken. "
                f"Received: {', '.join(map(str, paths))}"
            )
    if len(paths) != len(options.xray):
        raise InputError(
            "--camera takes one file for each X-ray. "
            f"Received: {len(paths)} files, {len(options.xray)} X-rays"
        )
    return [io.read_camera(path) for path in paths]


def _picture(path: Path) -> Any:
    from tfreg import io

    image = io.read(path)
    array = image.array[0] if image.array.shape[:1] == (1,) else image.array
    if array.ndim != 2:
        raise InputError(f"{path} must be one image. Received: shape={image.array.shape}")
    return array


def _by_network(
    options: argparse.Namespace,
    volume: "Image",
    xrays: list[Any],
    cameras: list["ConeBeam"],
    initial: list[float],
) -> Any:
    import zoo

    if len(xrays) != 1:
        raise InputError(f"A network takes one X-ray. Received: {len(xrays)}")
    if options.exposure:
        raise InputError("A network takes an X-ray that is bright behind bone, without --exposure.")
    model = zoo.load(options.model, task="pose")
    return model.register(volume, xrays[0], cameras[0], initial).pose


def _described(
    volume: "Image", cameras: list["ConeBeam"], answer: Any, start: Any
) -> dict[str, Any]:
    """All that is found, as plain numbers; ``initial`` is where the descent began."""
    from tfreg.geometry import matrix_of
    from tfreg.geometry.pose import PARAMETERS

    matrix = matrix_of(answer.pose, volume.geometry.centre)
    return {
        "pose": dict(zip(PARAMETERS, map(float, answer.pose), strict=True)),
        "initial": dict(zip(PARAMETERS, map(float, start), strict=True)),
        "matrix": matrix.tolist(),
        "similarity_before": float(answer.similarity_before),
        "similarity_after": float(answer.similarity_after),
        "renderings": int(answer.renderings),
        "seconds": float(answer.seconds),
        "cameras": [camera.to_dict() for camera in cameras],
    }


def _transform(volume: "Image", cameras: list["ConeBeam"], answer: Any) -> Any:
    """Points of the common frame of the cameras to those of the volume, LPS mm; Slicer reads it."""
    import numpy as np

    from tfreg import transforms
    from tfreg.geometry import matrix_of

    to_common = np.linalg.inv(cameras[0].extrinsic)
    matrix = to_common @ matrix_of(answer.pose, volume.geometry.centre)
    back = np.linalg.inv(matrix)
    return transforms.Affine(back[:3, :3], back[:3, 3])
