"""Figures. Every function returns a matplotlib ``Figure`` and shows nothing."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tfreg.registration import Registration


def registration_figure(registration: "Registration") -> Any:
    """One registration: images, differences before and after, and the deformed grid.

    Args:
        registration: the answer for a single pair; of volumes the middle slices along the first
            axis are shown, the grid without its motion across them.

    Returns:
        A matplotlib figure of six panels; five where the images differ in size.

    Raises:
        ValueError: if the registration is not of a single pair.
    """
    displacement = registration.displacement
    ndim = displacement.shape[-1]
    if displacement.ndim != ndim + 1:
        raise ValueError(
            f"A figure shows a single pair. Received: displacement.shape={displacement.shape}"
        )
    volumes = registration.fixed, registration.moving, registration.moved
    fixed, moving, moved = (
        _unit(image[len(image) // 2] if ndim == 3 else image) for image in volumes
    )
    if ndim == 3:
        displacement = displacement[len(displacement) // 2, ..., 1:]
    name = registration.similarity.upper()
    panels = [
        ("fixed", fixed, "gray", (0, 1)),
        ("moving", moving, "gray", (0, 1)),
        ("moved", moved, "gray", (0, 1)),
        (f"fixed - moved\n{name} {registration.similarity_after:.3f}", fixed - moved, "RdBu", None),
    ]
    if fixed.shape == moving.shape:
        before = f"fixed - moving\n{name} {registration.similarity_before:.3f}"
        panels.insert(3, (before, fixed - moving, "RdBu", None))
    figure, axes = new_figure(1, len(panels) + 1, 2.4)
    for axis, (title, image, colours, limits) in zip(axes[0], panels, strict=False):
        low, high = limits or (-1, 1)
        axis.imshow(image, cmap=colours, vmin=low, vmax=high)
        axis.set_title(title, fontsize=9)
    draw_grid(axes[0, -1], displacement)
    folded = 100 * float((registration.jacobian_determinant <= 0).mean())
    axes[0, -1].set_title(f"x + u(x)\nfolded {folded:.1f} %", fontsize=9)
    return figure


def draw_grid(axis: Any, displacement: np.ndarray) -> None:
    """Draws the grid of the fixed image where it comes to lie in the moving image."""
    height, width = displacement.shape[:2]
    positions = np.moveaxis(np.indices((height, width)), 0, -1) + displacement
    step = max(1, max(height, width) // 28)
    for lines in (positions[::step], np.swapaxes(positions, 0, 1)[::step]):
        for line in lines:
            axis.plot(line[:, 1], line[:, 0], color="tab:blue", linewidth=0.6)
    axis.set_xlim(-0.5, width - 0.5)
    axis.set_ylim(height - 0.5, -0.5)
    axis.set_aspect("equal")


def new_figure(rows: int, columns: int, size: float) -> tuple[Any, np.ndarray]:
    """A figure of square panels without ticks, drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size * columns, size * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    return figure, axes


def _unit(image: np.ndarray) -> np.ndarray:
    extent = image.max() - image.min()
    return (image - image.min()) / (extent if extent > 0 else 1)
