"""Real X-rays of a wrist from two sides: radius and ulna, and how far each camera's answer is."""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.harness import Row, Table, choose
from tfreg.data import radiographs
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, matrix_of, meeting, pose_of
from tfreg.image import Image
from tfreg.io.cameras import camera_of
from tfreg.metrics import corners_of, projected_tre

BONES = ("radius", "ulna")
COLUMNS = {
    "mtre": "median",
    "success": "mean",
    "reprojection": "mean",
    "between": "median",
    "apart": "median",
    "apart_degrees": "median",
    "renderings": "mean",
}
METHODS = (
    "start",
    "best",
    "gauss-newton gc",
    "gauss-newton ncc",
    "camera 1 alone",
    "camera 2 alone",
)
_LEVELS = (16, 8, 4)  # half as fine as by default, and four times as fast
# Rows and columns of the middle of each bone, in both cameras at each moment, by eye.
_SEEN = {
    "radius": (
        ((1397, 921), (1421, 592)),
        ((1397, 884), (1421, 675)),
        ((1397, 880), (1421, 675)),
    ),
    "ulna": (
        ((1423, 824), (1428, 753)),
        ((1423, 765), (1428, 841)),
        ((1423, 750), (1428, 843)),
    ),
}
_UNLIT, _EDGE = 40, 50  # grey level outside the circle that is lit, and pixels of its edge
_AWAY = 6.0  # mm, standard deviation of where a bone is looked for about that
_OFF = 10.0  # mm, and degrees
_FOUND = 1.0  # mm, and degrees
_TRIES, _KEPT = 400, 24  # poses from which the best one is looked for, and those gone on with
_FIRST = 6  # steps from each of them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument(
        "--starts", type=int, default=10, help="of each bone and frame (default: 10)"
    )


def run(options: argparse.Namespace) -> Table:
    """Finds each bone by both cameras, then again from starts off that, by both and by each."""
    if options.starts < 1:
        raise InputError(f"--starts must be positive. Received: {options.starts}")
    chosen = choose(options.methods, METHODS)
    wrist = radiographs.wrist()
    cameras = [camera_of(text) for text in wrist.cameras]
    table = Table(
        name="wrist",
        data=f"{radiographs.WRIST}, three moments, two cameras; radius and ulna from CT",
        protocol=(
            "No pose is known. The best one of each bone and frame is that of the highest gradient "
            f"correlation by both cameras, of descents from {_TRIES} poses turned all ways, about "
            "where an eye saw the bone in both images, at half of the resolution, "
            f"of which the best {_KEPT} go on after {_FIRST} steps. Starts are "
            f"{_OFF:g} mm and {_OFF:g} degrees off it, in random directions. `mtre`: mTREproj "
            "to the best pose, in the plane of the first camera; `success`: share below "
            f"{_FOUND:g} mm. `reprojection`: gradient correlation of both images there. `between`: "
            "mTREproj between the answers of both similarities to one start. `apart`, "
            "`apart_degrees`: the answer of one camera alone to the best, in that camera's plane "
            f"and about its view. Levels are {', '.join(map(str, _LEVELS))}: at the last, a pixel "
            "is about as wide as two voxels; what is outside the lit circle, or on its edge, is "
            "masked. There are no frames beside "
            "these three: numbers of tries and steps were chosen on them."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "starts": options.starts},
        layout="groups",
    )
    rng = np.random.default_rng(options.seed)
    for frame, xrays in enumerate(wrist.xrays):
        for bone in BONES:
            place = _Place(wrist.bones[bone], list(xrays), cameras, _SEEN[bone][frame])
            _measure(table, f"{bone} {frame + 1}", place, chosen, rng, options.starts)
    return table


def lit(xray: np.ndarray) -> np.ndarray:
    """Where an image intensifier shows anything, without the edge of that circle."""
    from scipy import ndimage

    inside = ndimage.binary_fill_holes(np.asarray(xray) > _UNLIT)
    return ndimage.distance_transform_edt(inside) > _EDGE


class _Place:
    """One bone at one moment.

    Args:
        volume: of the bone.
        xrays: of each camera.
        cameras: of which the first has the frame of poses.
        seen: row and column of its middle in each X-ray, within a centimetre.
    """

    def __init__(
        self, volume: Image, xrays: list[np.ndarray], cameras: list[ConeBeam], seen: Any
    ) -> None:
        self.volume, self.xrays, self.cameras = volume, xrays, cameras
        self.middle = meeting(cameras, seen)
        self.targets = corners_of(volume.geometry, volume.array > 0)
        self.centre = volume.geometry.centre
        self.masks = [lit(xray) for xray in xrays]

    def errors(self, found: np.ndarray, true: np.ndarray) -> list[float]:
        """mTREproj of poses to as many, or to one."""
        true = np.broadcast_to(true, found.shape)
        pairs = zip(found, true, strict=True)
        return [projected_tre(*pair, self.targets, self.centre) for pair in pairs]

    def descent(
        self,
        starts: np.ndarray,
        similarity: str = "gc",
        levels: Sequence[int] = _LEVELS,
        number: int | None = None,
        steps: int = 30,
    ) -> Any:
        """From poses, by all cameras or by one of them, in whose frame they then are."""
        from tfreg.registration import register_projection

        picked = range(len(self.cameras)) if number is None else [number]
        return register_projection(
            self.volume,
            [self.xrays[k] for k in picked],
            [self.cameras[k] for k in picked],
            starts,
            similarity,
            [self.masks[k] for k in picked],
            levels,
            steps=steps,
            attenuates=True,
            exposure=True,
        )

    def best(self, rng: np.random.Generator) -> np.ndarray:
        """The pose of the highest gradient correlation, of descents from turns all about."""
        turns = rng.uniform((-180, -90, -180), (180, 90, 180), (_TRIES, 3))
        shifts = rng.normal(size=(_TRIES, 3)) * _AWAY
        starts = np.concatenate([self.middle + shifts, turns], axis=1)
        double = [2 * factor for factor in _LEVELS]  # in a quarter of the time
        coarse = self.descent(starts, levels=double[:1], steps=_FIRST)
        order = np.argsort(-coarse.similarity_after)[:_KEPT]
        better = self.descent(coarse.pose[order], levels=double)
        return self.descent(better.pose[better.similarity_after.argmax()]).pose

    def seen_by(self, poses: np.ndarray, number: int) -> np.ndarray:
        """Poses in the frame of the first camera as those in the frame of another."""
        change = self.cameras[number].extrinsic @ np.linalg.inv(self.cameras[0].extrinsic)
        return np.array([pose_of(change @ matrix_of(p, self.centre), self.centre) for p in poses])

    def turned(self, found: np.ndarray, true: np.ndarray) -> list[float]:
        """Degrees between poses and one, about the view."""
        inverse = matrix_of(true, self.centre)[:3, :3].T
        turns = [matrix_of(pose, self.centre)[:3, :3] @ inverse for pose in found]
        return [
            float(abs(np.rad2deg(np.arctan2(t[1, 0] - t[0, 1], t[0, 0] + t[1, 1])))) for t in turns
        ]


def _measure(
    table: Table,
    group: str,
    place: _Place,
    chosen: Sequence[str],
    rng: np.random.Generator,
    count: int,
) -> None:
    best = place.best(rng)[None]
    directions = rng.normal(size=(count, 2, 3))
    directions *= _OFF / np.linalg.norm(directions, axis=2, keepdims=True)
    starts = best + directions.reshape(-1, 6)

    def add(method: str, unit: dict[str, str], **values: Sequence[float]) -> None:
        if method in chosen:
            for metric, found in values.items():
                row = Row.of(method, group, metric, unit.get(metric, "1"), found)
                table.rows.append(row)

    def reprojection(poses: np.ndarray) -> np.ndarray:
        return place.descent(poses, levels=_LEVELS[-1:], steps=0).similarity_after

    def right(errors: Sequence[float]) -> np.ndarray:
        return 100.0 * (np.array(errors) < _FOUND)

    units = {"mtre": "mm", "success": "%", "between": "mm", "apart": "mm"}
    units |= {"apart_degrees": "°"}
    first = place.errors(starts, best)
    add("start", units, mtre=first, success=right(first), reprojection=reprojection(starts))
    add("best", units, reprojection=reprojection(best))
    answers = {}
    for kind in ("gc", "ncc"):
        answers[kind] = place.descent(starts, kind)
    for kind, found in answers.items():
        errors = place.errors(found.pose, best)
        add(
            f"gauss-newton {kind}",
            units,
            mtre=errors,
            success=right(errors),
            reprojection=reprojection(found.pose),
            renderings=found.renderings.astype(float),
        )
    between = place.errors(*(found.pose for found in answers.values()))
    add("gauss-newton ncc", units, between=between)
    for number in range(len(place.cameras)):
        own, before = (place.seen_by(poses, number) for poses in (best, starts))
        found = place.descent(before, number=number)
        errors, turned = place.errors(found.pose, own), place.turned(found.pose, own[0])
        add(f"camera {number + 1} alone", units, apart=errors, apart_degrees=turned)
