"""The many parameterisations of linear transforms in ITK and elastix, read as matrices."""

from collections.abc import Callable

import numpy as np

from tfreg.errors import InputError
from tfreg.transforms.affine import Affine


def linear(name: str, ndim: int, parameters: np.ndarray, fixed: np.ndarray) -> Affine | None:
    """The linear transform of ITK's class ``name``.

    Args:
        name: without the suffix, such as ``Euler3DTransform``.
        ndim: 2 or 3.
        parameters: as ITK writes them.
        fixed: the fixed parameters: the centre, and of ``Euler3DTransform`` maybe the order.

    Returns:
        None if this is no class of linear transforms that is known.

    Raises:
        InputError: on a wrong number of parameters, or a singular matrix.
    """
    if name == "IdentityTransform":
        return Affine.identity(ndim)
    if name == "TranslationTransform":
        return Affine(np.eye(ndim), _take(name, parameters, ndim))
    readers = _ANY if name in _ANY else _PLANE if ndim == 2 else _SPACE
    if name not in readers:
        return None
    count, read = readers[name]
    parameters = _take(name, parameters, count(ndim))
    if len(fixed) < ndim:
        raise InputError(
            f"{name} needs {ndim} fixed parameters, its centre. Received: {len(fixed)}"
        )
    if name == "Euler3DTransform" and len(fixed) > ndim and fixed[ndim]:
        matrix, translation = euler(parameters[:3], zyx=True), parameters[3:]
    else:
        matrix, translation = read(parameters)
    return Affine(matrix, translation, fixed[:ndim])


def euler(angles: np.ndarray, zyx: bool = False) -> np.ndarray:
    """The rotation by angles around x, y and z: ``Rz Rx Ry``, or ``Rz Ry Rx``.

    Args:
        angles: in radian.
        zyx: the latter order.

    Example:

    >>> euler([0, 0, np.pi / 2]).round(6).tolist()
    [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    around_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    around_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    around_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return around_z @ around_y @ around_x if zyx else around_z @ around_x @ around_y


def versor(right: np.ndarray) -> np.ndarray:
    """The rotation of a unit quaternion with the vector part ``right`` and a positive real part.

    Args:
        right: ``(x, y, z)``, of length 1 at most.

    Raises:
        InputError: if it is longer.

    Example:

    >>> versor(np.array([1.0, 0, 0])).tolist()
    [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]
    """
    squared = float(right @ right)
    if squared > 1 + 1e-6:
        raise InputError(f"A versor is not longer than 1. Received: {right.tolist()}")
    return _quaternion(np.append(right, np.sqrt(max(0.0, 1 - squared))))


def turn(angle: float) -> np.ndarray:
    """The rotation of the plane by an angle in radian."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


def _quaternion(values: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(values)
    if not length > 0:
        raise InputError(f"A quaternion must not be zero. Received: {values.tolist()}")
    x, y, z, w = values / length
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def _affine(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ndim = 2 if len(parameters) == 6 else 3
    return parameters[:-ndim].reshape(ndim, ndim), parameters[-ndim:]


def _skewed(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ITK adds scales and skews to the rotation here, and does not multiply."""
    matrix = versor(parameters[:3]) + np.diag(parameters[6:9] - 1)
    matrix[~np.eye(3, dtype=bool)] += parameters[9:] if len(parameters) > 9 else 0
    return matrix, parameters[3:6]


def _composed(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    skew = np.eye(3)
    skew[np.triu_indices(3, 1)] = parameters[9:]
    return versor(parameters[:3]) @ np.diag(parameters[6:9]) @ skew, parameters[3:6]


_Reader = tuple[Callable[[int], int], Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]
_ANY: dict[str, _Reader] = {
    "AffineTransform": (lambda ndim: ndim * (ndim + 1), _affine),
    "MatrixOffsetTransformBase": (lambda ndim: ndim * (ndim + 1), _affine),
    "ScaleTransform": (lambda ndim: ndim, lambda p: (np.diag(p), np.zeros(len(p)))),
    "ScaleLogarithmicTransform": (
        lambda ndim: ndim,
        lambda p: (np.diag(np.exp(p)), np.zeros(len(p))),
    ),
}
_PLANE: dict[str, _Reader] = {
    "Euler2DTransform": (lambda _: 3, lambda p: (turn(p[0]), p[1:])),
    "Rigid2DTransform": (lambda _: 3, lambda p: (turn(p[0]), p[1:])),
    "Similarity2DTransform": (lambda _: 4, lambda p: (p[0] * turn(p[1]), p[2:])),
}
_SPACE: dict[str, _Reader] = {
    "Euler3DTransform": (lambda _: 6, lambda p: (euler(p[:3]), p[3:])),
    "VersorTransform": (lambda _: 3, lambda p: (versor(p), np.zeros(3))),
    "VersorRigid3DTransform": (lambda _: 6, lambda p: (versor(p[:3]), p[3:])),
    "QuaternionRigidTransform": (lambda _: 7, lambda p: (_quaternion(p[:4]), p[4:])),
    "Similarity3DTransform": (lambda _: 7, lambda p: (p[6] * versor(p[:3]), p[3:6])),
    "ScaleVersor3DTransform": (lambda _: 9, _skewed),
    "ScaleSkewVersor3DTransform": (lambda _: 15, _skewed),
    "ComposeScaleSkewVersor3DTransform": (lambda _: 12, _composed),
}
LINEAR = ("IdentityTransform", "TranslationTransform", *_ANY, *_PLANE, *_SPACE)


def _take(name: str, parameters: np.ndarray, count: int) -> np.ndarray:
    if len(parameters) != count:
        raise InputError(f"{name} needs {count} parameters. Received: {len(parameters)}")
    return parameters
