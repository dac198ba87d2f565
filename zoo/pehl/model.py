"""PEHL: pose estimation by hierarchical learning, of one zone.

Reference:
    S. Miao, Z. J. Wang and R. Liao, A CNN regression approach for real-time 2D/3D registration,
    IEEE Transactions on Medical Imaging 35(5), 2016, pp. 1352-1363.

Parameter space partitioning (II-B) makes a model per zone, ``zones.py`` puts them together; the
local image residuals (II-C) are in residuals.py, their points (II-C) in points.py, the regressor
(II-E) in network.py; hierarchical regression (II-D) is here.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from tfreg import ops
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, frame_of
from tfreg.image import Image
from tfreg.models import PoseModel
from zoo.pehl.network import Regressor
from zoo.pehl.residuals import PATCH, patch_places, rendered, residual, taken
from zoo.pehl.zones import Zones, left_over, registered

GROUPS = ((0, 1, 3), (4, 5), (2,))  # t_x, t_y, t_theta; t_alpha, t_beta; t_z
TOGETHER = ((0, 1, 2, 3, 4, 5),)


@keras.saving.register_keras_serializable(package="tfreg")
class PEHL(PoseModel):
    """The regressors of one zone of out-of-plane rotations, for one object.

    Args:
        zone: of :func:`tfreg.geometry.zone_of`; None: of all rotations, the paper's network without
            parameter space partitioning.
        points: ``(n, 3)`` the 3-D points of the residuals, in mm from the object's centre, along
            the axes of the camera at the pose of zeros.
        width: of a residual's region, ``w0``, in mm at the object.
        ranges: for each group, what one unit of its outputs is, in mm or degrees.
        groups: the parameters that are found together, in order; one group of all six is the
            paper's network without hierarchical regression.
        local: whether residuals are local. Else one region covers the object: the paper's network
            without local residuals.
        kwargs: of ``tfreg.models.PoseModel``.

    ``register`` takes two options: ``iterations`` (3, as in the paper), and ``refine``:
    ``"gauss-newton"`` goes on with :func:`tfreg.registration.register_projection`. Models of
    several zones become one by ``front.beside(*others)``.

    Raises:
        ValueError: on what makes no model.

    Example:

    >>> import numpy as np
    >>> from zoo.pehl.model import PEHL
    >>> model = PEHL((0, 0), np.zeros((18, 3)), 25.0, [(1.5, 1.5, 3.0), (15.0, 15.0), (15.0,)])
    >>> model.build()
    >>> model.count_params()  # 3 x 660,500, the outputs' and all biases
    1984176
    """

    options: ClassVar[tuple[str, ...]] = ("iterations", "refine")
    metric: ClassVar[str] = "error"

    def __init__(
        self,
        zone: Sequence[int] | None,
        points: Any,
        width: float,
        ranges: Sequence[Sequence[float]],
        groups: Sequence[Sequence[int]] = GROUPS,
        local: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.zone = None if zone is None else tuple(int(index) for index in zone)
        self.points = np.asarray(points, "float32")
        self.width = float(width)
        self.groups = tuple(tuple(int(k) for k in group) for group in groups)
        self.ranges = tuple(tuple(float(value) for value in group) for group in ranges)
        self.local = local
        if self.points.ndim != 2 or self.points.shape[1] != 3 or not self.width > 0:
            raise ValueError(
                "points must be (n, 3), and width positive. "
                f"Received: points.shape={self.points.shape}, width={width}"
            )
        if sorted(k for group in self.groups for k in group) != list(range(6)):
            raise ValueError(f"groups must hold each of 0 to 5 once. Received: groups={groups}")
        if [len(group) for group in self.groups] != [len(group) for group in self.ranges]:
            raise ValueError(
                "There must be a range for each parameter of each group. "
                f"Received: ranges={ranges}, groups={groups}"
            )
        if not local and len(self.points) != 1:
            raise ValueError(
                f"A residual that is not local has one point. Received: {len(self.points)} points"
            )
        self.regressors = [self._regressor(k) for k in range(len(self.groups))]

    def _regressor(self, group: int) -> Regressor:
        form = {"size": PATCH} if self.local else {"size": 2 * PATCH, "pool": 3, "first": 0}
        return Regressor(len(self.points), self.ranges[group], **form, name=f"group_{group + 1}")

    @property
    def size(self) -> int:
        """Pixels along each side of a residual."""
        return self.regressors[0].size

    def build(self, input_shape: Any = None) -> None:
        for regressor in self.regressors:
            regressor.build()
        self.built = True

    def residuals(
        self, volume: Any, frame: Any, xray: Any, pose: Any, focal: Any, principal: Any
    ) -> Any:
        """``X(t, I)``: the local image residuals at a pose.

        Args:
            volume: attenuation, ``(1, z, y, x, 1)``.
            frame: ``(3, 4)``, of :func:`tfreg.geometry.frame_of`.
            xray: tensor ``(batch, rows, columns, 1)``.
            pose: tensor ``(batch, 6)``.
            focal, principal: of the camera, in pixels, rows before columns.

        Returns:
            Tensor ``(batch, n, size, size)``.
        """
        places = patch_places(pose, self.points, self.width, self.size)
        drr = rendered(volume, frame, pose, places)
        return residual(drr, taken(xray, places, focal, principal))

    def step(self, group: int) -> Callable:
        """The compiled ``t[g] + f(X(t, I))`` of one group, arguments as :meth:`residuals`."""

        def make() -> Callable:
            regressor = self.regressors[group]
            spread = np.eye(6, dtype="float32")[list(self.groups[group])]

            def moved(volume: Any, frame: Any, xray: Any, pose: Any, *camera: Any) -> Any:
                found = regressor.offsets(self.residuals(volume, frame, xray, pose, *camera))
                return pose + keras.ops.matmul(found, spread)

            return ops.graph(moved, regressor.variables)

        return self.function(("step", group, keras.config.backend()), make)

    def iterate(self, scene: Sequence[np.ndarray], pose: np.ndarray) -> np.ndarray:
        """Algorithm 1, once: every group after the other, with residuals of their own.

        Args:
            scene: volume, frame, X-rays, focal lengths and principal points, as :meth:`residuals`
                takes them.
            pose: ``(batch, 6)`` float32.
        """
        scene = [keras.ops.convert_to_tensor(part) for part in scene]
        for group in range(len(self.groups)):
            pose = self.advance(scene, pose, group)
        return pose

    def advance(self, scene: Sequence[Any], pose: np.ndarray, group: int) -> np.ndarray:
        """One group of :meth:`iterate`."""
        volume, frame, xray, focal, principal = scene
        at = keras.ops.convert_to_tensor(pose)
        moved = self.step(group)(volume, frame, xray, at, focal, principal)
        return keras.ops.convert_to_numpy(moved)

    def beside(self, *others: "PoseModel") -> Zones:
        """Models of several zones as one: whichever is nearest moves the pose."""
        return Zones([self, *others])

    def pose(
        self, volume: Image, xray: np.ndarray, camera: ConeBeam, initial: np.ndarray, **options: Any
    ) -> np.ndarray:
        """The poses after each iteration, and after refinement where it is asked for."""
        return registered([self], volume, xray, camera, initial, **options)

    def check_volume(self, volume: Image) -> None:
        """Raises ``InputError`` on another grid than that of the object it was trained for."""
        known, spacing = self.preprocessing, volume.geometry.spacing[::-1]
        if known is None:
            return
        apart = known.spacing is not None and not np.allclose(spacing, known.spacing, rtol=1e-3)
        if volume.array.shape != known.size or apart:
            steps = "" if known.spacing is None else f" of {known.spacing} mm"
            raise InputError(
                f"This network knows one object, in {known.size} voxels{steps}. "
                f"Received: {volume.array.shape} of {spacing} mm"
            )

    def scene(self, volume: Image, xrays: np.ndarray, camera: ConeBeam) -> tuple[np.ndarray, ...]:
        """What :meth:`iterate` takes, of X-rays ``(batch, rows, columns)``."""
        voxels = self.attenuation(np.asarray(volume.array, "float32"))[None, ..., None]
        parts = (
            voxels,
            frame_of(volume.geometry),
            xrays[..., None],
            camera.focal,
            camera.principal,
        )
        return tuple(np.asarray(part, "float32") for part in parts)

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """What is left of the offsets after 3 iterations, root mean square over the parameters.

        Each in units of the paper's perturbation of it; arguments are those of
        :func:`zoo.pehl.zones.left_over`.
        """
        return left_over(self, inputs, targets, batch_size)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "zone": self.zone,
            "points": [[round(float(v), 3) for v in point] for point in self.points],
            "width": self.width,
            "ranges": self.ranges,
            "groups": self.groups,
            "local": self.local,
        }
