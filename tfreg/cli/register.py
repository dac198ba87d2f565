"""``tfreg register FIXED MOVING -m PRESET -o FOLDER``."""

import argparse
import json

_LAYOUTS = {
    2: "(rows, columns, 2), in pixels, rows before columns",
    3: "(slices, rows, columns, 3), in voxels, slices before rows before columns",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "fixed", help="the image to register onto (PNG, TIFF, MetaImage, .npy, ...)"
    )
    parser.add_argument("moving", help="the image to warp")
    parser.add_argument("-m", "--model", required=True, help="a preset, see `tfreg models`")
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        help="folder for moved.png (2-D), moved.npy, displacement.npy, figure.png and "
        "registration.json",
    )
    parser.add_argument(
        "--refine",
        type=_refinement,
        default=0,
        metavar="N",
        help="instance optimisation: steps on the network's own parameters, or fast, default or "
        "accurate for a finer B-spline",
    )
    parser.add_argument(
        "--memory-gib",
        type=float,
        metavar="G",
        help="budget of the network: large volumes go through it in overlapping tiles",
    )
    parser.add_argument(
        "--stages", type=int, metavar="K", help="run only the first stages of the network"
    )


def _refinement(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def run(options: argparse.Namespace) -> None:
    """Registers and writes the results, all of them or none."""
    import numpy as np

    from tfreg.cli.quiet import load_keras

    load_keras()
    import zoo
    from tfreg import io, viz

    fixed, moving = io.read_image(options.fixed), io.read_image(options.moving)
    model = zoo.load(options.model)
    for name, image in (("fixed", fixed), ("moving", moving)):
        if image.ndim != model.ndim:
            raise io.InputError(
                f"{options.model} registers {model.ndim}-D images. "
                f"Received: {name} image of shape {image.shape}"
            )
    # Only networks that have stages, or run in tiles, take these; others refuse them.
    further = {"memory_gib": options.memory_gib, "stages": options.stages}
    further = {name: value for name, value in further.items() if value is not None}
    answer = model.register(fixed, moving, refine=options.refine, **further)
    summary = {
        "model": options.model,
        "refine": options.refine,
        **further,
        "fixed": str(options.fixed),
        "moving": str(options.moving),
        "displacement": f"displacement.npy: {_LAYOUTS[model.ndim]}; moved(x) = moving(x + u(x))",
        "ncc_before": round(answer.similarity_before, 6),
        "ncc_after": round(answer.similarity_after, 6),
        "folding": float((answer.jacobian_determinant <= 0).mean()),
        "seconds": round(answer.seconds, 4),
    }
    low, high = float(np.min(moving)), float(np.max(moving))
    flat = {"moved.png": lambda path: io.write_png(path, answer.moved, low, high)}
    io.write_together(
        options.out,
        {
            **(flat if model.ndim == 2 else {}),
            "moved.npy": lambda path: np.save(path, answer.moved),
            "displacement.npy": lambda path: np.save(path, answer.displacement),
            "figure.png": lambda path: viz.registration_figure(answer).savefig(path, dpi=150),
            "registration.json": lambda path: path.write_text(json.dumps(summary, indent=2) + "\n"),
        },
    )
    print(
        f"NCC {answer.similarity_before:.4f} -> {answer.similarity_after:.4f}, folding "
        f"{100 * summary['folding']:.2f} %, written to {options.out}"
    )
