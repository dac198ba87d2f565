"""``tfreg register2d3d CT XRAY --camera CAM -o OUT``."""

import argparse
import json
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfreg.errors import InputError, InputWarning

if TYPE_CHECKING:
    from tfreg.geometry import ConeBeam
    from tfreg.models import PoseModel

# What stands in pose.json beside its numbers.
_ABOUT = (
    "pose: of the volume before the first camera, t_x, t_y, t_z in mm from the source to the "
    "volume's centre, t_theta, t_alpha, t_beta in degrees, R = Rz(t_theta) Rx(t_alpha) Ry(t_beta) "
    "after a turn to a frontal view; initial: where the descent began; given: where a network "
    "began; matrix: 4x4, points of the volume (LPS, mm) to the frame of the first camera (x along "
    "columns, y along rows, z from the source to the detector, mm)"
)


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
        action="append",
        metavar="FILE",
        help="how an X-ray was taken, once for each: text with matrices, JSON, or DICOM with its "
        "distances; if absent, the X-ray's own tags",
    )
    add(
        "--frame",
        type=int,
        metavar="N",
        help="which image of a run, such as DICOM of several, from 0",
    )
    add(
        "--initial",
        type=float,
        nargs=6,
        metavar=("X", "Y", "Z", "THETA", "ALPHA", "BETA"),
        help="the pose to start from (default: a frontal view of the first camera, the volume's "
        "centre where the middle rays of the cameras meet; of one camera where its DICOM says the "
        "patient is, four fifths of the way from source to detector, or at the origin of its frame "
        "where its file holds a matrix)",
    )
    add(
        "-m",
        "--model",
        action="append",
        metavar="PRESET",
        help="a network of the zoo finds the pose first; several, once for each, are of "
        "different zones of one object",
    )
    add(
        "--mask",
        type=Path,
        action="append",
        metavar="FILE",
        help="image, not 0 where pixels of an X-ray count, once for each",
    )
    add("--similarity", choices=("gc", "ncc"), default="gc", help="gc: of gradient images")
    add(
        "--levels",
        type=_integers,
        metavar="N,N,...",
        help="pixels that become one, level by level (default: 4, 2 and 1 times what is about as "
        "wide as a voxel)",
    )
    add(
        "--tries",
        type=int,
        default=1,
        metavar="N",
        help="descents from as many starts, 15 degrees about the initial one, of which the best "
        "one counts (default: 1)",
    )
    add(
        "--attenuation",
        action="store_true",
        help="the volume holds attenuation, as a segmented bone or an implant, not HU",
    )
    add(
        "--exposure",
        action="store_true",
        help="the X-ray is dark behind bone: what reached the detector; else bright",
    )
    add(
        "-o",
        "--out",
        type=Path,
        required=True,
        help="folder for pose.json (pose, and 4x4 from LPS to the first camera), transform.h5 "
        "(from the cameras' common frame to the volume, LPS mm; 3D Slicer moves the CT with it), "
        "overlay.png and report.html",
    )


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
    xrays = [_picture(path, options.frame) for path in options.xray]
    masks = [_picture(path) for path in options.mask] if options.mask else [None] * len(xrays)
    if len(masks) != len(xrays):
        raise InputError(f"--mask takes one image for each X-ray. Received: {len(masks)}")
    initial = options.initial or _initial(options, cameras)
    start, attenuates = initial, options.attenuation
    if options.model is not None:
        model = _network(options.model, len(xrays))
        start = model.register(volume, xrays[0], cameras[0], initial, options.exposure).pose
        attenuates = model.attenuates
    answer = register_projection(
        volume,
        xrays,
        cameras,
        start,
        options.similarity,
        masks,
        options.levels,
        attenuates=attenuates,
        exposure=options.exposure,
        tries=options.tries,
    )
    found = _described(cameras, answer, start)
    if options.model is not None:
        found["given"] = dict(zip(found["pose"], map(float, initial), strict=True))
    contents = {"pose.json": (json.dumps(found, indent=2) + "\n").encode(), **files(answer, found)}
    writers: dict[str, Any] = {
        name: partial(Path.write_bytes, data=content) for name, content in contents.items()
    }
    transform = _transform(cameras, answer)
    writers |= transforms.writers(transform, options.out / "transform.h5")[0]
    io.write_together(options.out, writers)
    values = ", ".join(f"{value:.2f}" for value in answer.pose)
    before, after = float(answer.similarity_before), float(answer.similarity_after)
    print(
        f"{options.similarity} {before:.3f} before, {after:.3f} after, "
        f"{int(answer.renderings)} renderings, {answer.seconds:.1f} s; pose {values}; "
        f"written to {options.out}"
    )


def _integers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _initial(options: argparse.Namespace, cameras: list["ConeBeam"]) -> list[float]:
    """Where the views of all cameras meet; of one, between its detector and the source.

    A matrix alone does not say where that is: then it is the origin of the common frame, which is
    where the camera was calibrated.
    """
    from tfreg.geometry import meeting
    from tfreg.io.cameras import object_distance

    if len(cameras) > 1:
        return [*meeting(cameras).tolist(), 0.0, 0.0, 0.0]
    path = (options.camera or options.xray)[0]
    distance = object_distance(path)
    if distance is not None:
        return [0.0, 0.0, distance, 0.0, 0.0, 0.0]
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


def _picture(path: Path, frame: int | None = None) -> Any:
    """An image, or one of a run."""
    from tfreg import io

    run = frame is not None or path.suffix.lower() == ".dcm"
    with warnings.catch_warnings():
        # Where pixels are is said by the camera, which knows of magnification.
        warnings.filterwarnings("ignore", ".*ImagerPixelSpacing", InputWarning)
        images = io.read_frames(path) if run else [io.read(path)]
    if frame is None and len(images) > 1:
        raise InputError(f"{path} is a run of {len(images)} images: --frame N names one, from 0.")
    if not 0 <= (frame or 0) < len(images):
        raise InputError(
            f"--frame must be one of the {len(images)} images of {path}, from 0. Received: {frame}"
        )
    array = images[frame or 0].array
    picture = array[0] if array.shape[:1] == (1,) else array
    if picture.ndim != 2:
        raise InputError(f"{path} must be one image. Received: shape={array.shape}")
    return picture


def _network(names: list[str], count: int) -> "PoseModel":
    import zoo

    if count != 1:
        raise InputError(f"A network takes one X-ray. Received: {count}")
    models = [zoo.load(name, task="pose") for name in names]
    for name, model in zip(names, models, strict=True):
        if not model.rigid:
            raise InputError(f"--model must find a pose, not a deformation. Received: {name}")
    return models[0].beside(*models[1:]) if len(models) > 1 else models[0]


def _described(cameras: list["ConeBeam"], answer: Any, start: Any) -> dict[str, Any]:
    """All that is found, as plain numbers; ``initial`` is where the descent began."""
    from tfreg.geometry.pose import PARAMETERS

    return {
        "about": _ABOUT,
        "pose": dict(zip(PARAMETERS, map(float, answer.pose), strict=True)),
        "initial": dict(zip(PARAMETERS, map(float, start), strict=True)),
        "matrix": answer.matrix.tolist(),
        "similarity_before": float(answer.similarity_before),
        "similarity_after": float(answer.similarity_after),
        "renderings": int(answer.renderings),
        "seconds": float(answer.seconds),
        "cameras": [camera.to_dict() for camera in cameras],
    }


def _transform(cameras: list["ConeBeam"], answer: Any) -> Any:
    """Points of the common frame of the cameras to those of the volume, LPS mm; Slicer reads it."""
    import numpy as np

    from tfreg import transforms

    back = np.linalg.inv(np.linalg.inv(cameras[0].extrinsic) @ answer.matrix)
    return transforms.Affine(back[:3, :3], back[:3, 3])
