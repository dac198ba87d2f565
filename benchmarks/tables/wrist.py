"""Real X-rays of a wrist from two sides: radius and ulna, and how far each camera's answer is."""

import argparse

import numpy as np

from benchmarks.harness import Row, Table
from tfreg.data import radiographs
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, matrix_of, pose_of
from tfreg.image import Image
from tfreg.io.cameras import camera_of
from tfreg.metrics import corners_of, projected_tre
from tfreg.registration import register_projection

BONES = ("radius", "ulna")
COLUMNS = {
    "start": "mean",
    "gc": "mean",
    "apart": "mean",
    "apart_degrees": "mean",
    "renderings": "mean",
    "seconds": "mean",
}
_LEVELS = (16, 8, 4)
_OFF = np.array([10.0, 10.0, 10.0, 10.0, 10.0, 10.0]) / np.sqrt(3)  # 10 mm and 10 degrees
_ROLES = {"gauss-newton gc": "gc", "gauss-newton ncc": "ncc"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument(
        "--starts", type=int, default=10, help="of each bone and frame (default: 10)"
    )


def run(options: argparse.Namespace) -> Table:
    """Finds each bone by both cameras, then again from starts off that, by both and by each."""
    if options.starts < 1:
        raise InputError(f"--starts must be positive. Received: {options.starts}")
    wrist = radiographs.wrist()
    cameras = [camera_of(text) for text in wrist.cameras]
    table = Table(
        name="wrist",
        data=f"{radiographs.WRIST}",
        protocol=(
            "No pose is known. The best one of each bone and frame is that of the highest gradient "
            "correlation by both cameras, of descents from poses all about it. Starts are 10 mm "
            "and 10 degrees off it, in random directions. `start`, `gauss-newton gc`: mTREproj to "
            "the best pose, in the plane of the first camera; `apart`, `apart_degrees`: the answer "
            "of one camera alone to the best, in that camera's plane and about its view."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "starts": options.starts},
        layout="groups",
    )
    rng = np.random.default_rng(options.seed)
    for frame, xrays in enumerate(wrist.xrays):
        for bone in BONES:
            _measure(table, f"{bone} {frame + 1}", wrist.bones[bone], xrays, cameras, rng, options)
    return table


def _measure(
    table: Table,
    group: str,
    volume: Image,
    xrays: np.ndarray,
    cameras: list[ConeBeam],
    rng: np.random.Generator,
    options: argparse.Namespace,
) -> None:
    best = _best(volume, xrays, cameras, rng)
    directions = rng.normal(size=(options.starts, 2, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True) / np.sqrt(3)
    starts = best + directions.reshape(-1, 6) * _OFF
    targets, centre = corners_of(volume.geometry, volume.array > 0), volume.geometry.centre

    def errors(found: np.ndarray, true: np.ndarray) -> list[float]:
        return [projected_tre(pose, true, targets, centre) for pose in np.atleast_2d(found)]

    table.rows.append(Row.of("start", group, "start", "mm", errors(starts, best)))
    for method, similarity in _ROLES.items():
        found = _descent(volume, list(xrays), cameras, starts, similarity)
        values = {
            "gc": (errors(found.pose, best), "mm"),
            "renderings": (found.renderings.astype(float), "1"),
            "seconds": ([found.seconds / len(starts)], "s"),
        }
        for metric, (numbers, unit) in values.items():
            table.rows.append(Row.of(method, group, metric, unit, numbers))
    for number, camera in enumerate(cameras):
        own, before = (_of_camera(pose, cameras, number, centre) for pose in (best, starts))
        found = _descent(volume, [xrays[number]], [camera], before, "gc")
        method = f"camera {number + 1} alone"
        table.rows.append(Row.of(method, group, "apart", "mm", errors(found.pose, own[0])))
        turned = np.abs(found.pose[:, 3] - own[0, 3])
        table.rows.append(Row.of(method, group, "apart_degrees", "deg", turned))


def _best(
    volume: Image, xrays: np.ndarray, cameras: list[ConeBeam], rng: np.random.Generator
) -> np.ndarray:
    """The pose of the highest gradient correlation, of descents from turns all about."""
    # Both cameras look at the place where their middle rays are nearest to each other.
    sources = [-np.array(c.rotation).T @ np.array(c.translation) for c in cameras]
    views = [np.array(c.rotation)[2] for c in cameras]
    normal = np.eye(3) * 2 - sum(np.outer(v, v) for v in views)
    right = sum(s - v * (v @ s) for s, v in zip(sources, views, strict=True))
    middle = cameras[0].extrinsic @ [*np.linalg.solve(normal, right), 1]
    turns = rng.uniform((-180, -90, -180), (180, 90, 180), (200, 3))
    shifts = rng.normal(size=(200, 3)) * 12
    starts = np.concatenate([middle[:3] + shifts, turns], axis=1)
    coarse = _descent(volume, list(xrays), cameras, starts, "gc", (16,))
    order = np.argsort(-coarse.similarity_after)[:8]
    fine = _descent(volume, list(xrays), cameras, coarse.pose[order], "gc")
    return fine.pose[fine.similarity_after.argmax()]


def _of_camera(
    poses: np.ndarray, cameras: list[ConeBeam], number: int, centre: np.ndarray
) -> np.ndarray:
    """Poses in the frame of the first camera as those in the frame of another."""
    change = cameras[number].extrinsic @ np.linalg.inv(cameras[0].extrinsic)
    return np.array([pose_of(change @ matrix_of(p, centre), centre) for p in np.atleast_2d(poses)])


def _descent(volume, xrays, cameras, starts, similarity, levels=_LEVELS):
    return register_projection(
        volume,
        xrays,
        cameras,
        starts,
        similarity,
        levels=levels,
        attenuates=True,
        exposure=True,
    )
