"""``python -m benchmarks list``, ``run TABLE`` and ``readme``."""

import argparse
import ast
import importlib
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import readme
from benchmarks.options import check
from tfreg import startup
from tfreg.errors import InputError

_FOLDER = Path(__file__).parent


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    # A table measures compiling, which what an earlier run kept would shorten.
    os.environ.setdefault("TFREG_CACHE", "off")
    startup.prepare()
    try:
        return _run(_parser().parse_args(arguments))
    except InputError as error:
        print(f"benchmarks: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def tables() -> dict[str, str]:
    """The tables that there are, each with the first line of its module; none of them is loaded.

    A table is a module of ``benchmarks/tables`` with ``add_arguments(parser)`` and
    ``run(options)``, which answers a :class:`benchmarks.harness.Table`.
    """
    found = {}
    for path in sorted((_FOLDER / "tables").glob("[!_]*.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem.replace("_", "-")] = said.partition("\n")[0].removesuffix(".")
    return found


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        line = " ".join(message.split())
        self.exit(2, f"{self.prog}: {line} (see `{self.prog} --help`)\n")


class _TableParser(_Parser):
    """The parser of a table, whose module declares its options when it is named."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        _module(self.prog.split()[-1]).add_arguments(self)
        return super().parse_known_args(args, namespace)


def _module(table: str) -> Any:
    return importlib.import_module(f"benchmarks.tables.{table.replace('-', '_')}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m benchmarks")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="name the tables")
    commands.add_parser("readme", help="put the committed tables into the pages that show them")
    run = commands.add_parser("run", help="make a table with its figures")
    choices = run.add_subparsers(
        dest="table", required=True, metavar="TABLE", parser_class=_TableParser
    )
    for name, summary in tables().items():
        table = choices.add_parser(name, help=summary, description=f"{summary}.")
        table.add_argument("--methods", help="comma-separated; default: all of the table")
        table.add_argument("--seed", type=int, default=0, help="seed of the data (default: 0)")
        table.add_argument("--json", type=Path, metavar="FILE", help="write the JSON here as well")
        table.add_argument(
            "--out", type=Path, metavar="DIR", help=f"folder (default: benchmarks/results/{name})"
        )
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.command == "list":
        for name, summary in tables().items():
            print(f"{name:<20} {summary}")
        return 0
    if options.command == "readme":
        readme.update()
        return 0
    check(options)
    table = _module(options.table).run(options)
    folder = options.out or _FOLDER / "results" / options.table
    table.write(folder, options.json)
    print(table.markdown())
    print(f"written to {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
