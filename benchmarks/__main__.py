"""``python -m benchmarks list``, ``run TABLE`` and ``readme``."""

import argparse
import importlib
import os
import sys
from pathlib import Path

from benchmarks import readme
from tfreg.errors import InputError

# One module per table, loaded when it is named: ``add_arguments(parser)`` and ``run(options)``.
TABLES = {
    "command-line": "time of `tfreg register` from nothing, and pairs per second of `tfreg batch`",
    "dirnet-cine": "DIRNet on cardiac cine MRI: Table 1 of the paper beside elastix",
    "dirnet-cine-choices": "what the DIRNet paper leaves open, decided on validation patients",
    "dirnet-mnist": "DIRNet on MNIST: NCC and time of ten networks beside elastix",
    "dlir-chest-ct": "DLIR on chest CT: a row per stage, beside elastix and the paper's DIR-Lab",
    "dlir-cine": "DLIR on whole stacks of cardiac cine MRI: a row per stage, beside elastix",
    "dlir-cost": "DLIR: time and memory of a large pair and of a step of training",
    "dlir-hippocampus": "DLIR between hippocampi: a row per stage, beside elastix",
    "optimise-chest-ct": "registration without a network on a pair of lung CTs, 26 landmarks",
    "optimise-cine": "registration without a network on cardiac cine MRI",
    "optimise-digits": "registration without a network on MNIST",
    "optimise-growth": "registration without a network: time and memory against size",
    "resampling": "resampling: time and memory beside torch, SciPy and SimpleITK",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    # Before the tables load TensorFlow, whose start-up notices are not for the user of a command.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name the tables")
    commands.add_parser("readme", help="put the committed tables into the pages that show them")
    run = commands.add_parser("run", help="make a table with its figures")
    tables = run.add_subparsers(dest="table", required=True)
    modules = {}
    for name, summary in TABLES.items():
        modules[name] = importlib.import_module(f"benchmarks.tables.{name.replace('-', '_')}")
        table = tables.add_parser(name, help=summary, description=summary)
        table.add_argument("--methods", help="comma-separated; default: all of the table")
        table.add_argument("--seed", type=int, default=0, help="seed of the data (default: 0)")
        table.add_argument("--json", type=Path, metavar="FILE", help="write the JSON here as well")
        table.add_argument(
            "--out", type=Path, metavar="DIR", help=f"folder (default: benchmarks/results/{name})"
        )
        modules[name].add_arguments(table)
    options = parser.parse_args(arguments)
    if options.command == "list":
        for name, summary in TABLES.items():
            print(f"{name:<20} {summary}")
        return 0
    try:
        if options.command == "readme":
            readme.update()
            return 0
        if options.seed < 0:
            raise InputError(f"--seed must not be negative. Received: {options.seed}")
        table = modules[options.table].run(options)
        folder = options.out or Path(__file__).parent / "results" / options.table
        table.write(folder, options.json)
    except InputError as error:
        print(f"benchmarks: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(table.markdown())
    print(f"written to {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
