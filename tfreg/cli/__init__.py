"""The ``tfreg`` command.

A command is a module of this package with ``add_arguments(parser)`` and ``run(options)``, which
answers nothing, or an exit code. It loads only when it is named: ``tfreg --help`` loads none.
"""

import argparse
import contextlib
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from tfreg import __version__, startup
from tfreg.errors import InputError

DONE, FAILED, UNUSABLE, SOME_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

_COMMANDS = {
    "register": "register one image onto another, with a network of the zoo or with none",
    "register2d3d": "find the pose of a volume in X-rays",
    "batch": "register the pairs that a CSV file lists",
    "fuse": "fuse two images of one patient into one, registered before where they are not aligned",
    "warp": "apply transforms to an image, a label map or points",
    "evaluate": "measure label maps, landmarks and transforms",
    "align": "align a stack of serial sections",
    "convert": "write transforms in the format of another tool",
    "models": "list the presets of the zoo",
    "train": "train a network of the zoo with its paper's recipe",
}

_CODES = """\
exit codes:
  0    done
  1    an unexpected failure; --verbose shows where
  2    unusable input or options; one line says why
  3    batch: some of the pairs failed, the others are done
  130  interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: the words after ``tfreg``; those of the process if absent.

    Returns:
        The exit code.

    Raises:
        SystemExit: where the words are no command: code 2; after ``--help``: code 0.
    """
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = partial(_warn, options.command, set())
            startup.prepare(options.verbose)
            code = importlib.import_module(f"tfreg.cli.{options.command}").run(options) or DONE
        sys.stdout.flush()  # a reader that has gone is noticed here, not when the process ends
        return code
    except BrokenPipeError:  # the reader of our output has gone, e.g. `tfreg models | head`
        # What is left in the buffer goes nowhere, else Python complains about it at its exit.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return _say(options, "interrupted", INTERRUPTED)
    except InputError as error:
        return _say(options, str(error), UNUSABLE)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        more = "" if options.verbose else " (--verbose shows where)"
        return _say(options, f"unexpected failure: {reason}{more}", FAILED)


def _warn(command: str, said: set[str], message: Warning | str, *rest: Any, **more: Any) -> None:
    """Prints a warning as the one line that it is, without the place in our source, and once."""
    line = f"tfreg {command}: warning: {' '.join(str(message).split())}"
    with contextlib.suppress(OSError):
        if line not in said:
            print(line, file=sys.stderr)
    said.add(line)


def _say(options: argparse.Namespace, message: str, code: int) -> int:
    """Prints the one line, after the traceback where that is asked for."""
    if options.verbose:
        traceback.print_exc()
    with contextlib.suppress(OSError):
        print(f"tfreg {options.command}: {' '.join(message.split())}", file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        line = " ".join(message.split())
        self.exit(UNUSABLE, f"{self.prog}: {line} (see `{self.prog} --help`)\n")


class _CommandParser(_Parser):
    """The parser of a command: the command's module declares the options when they are needed."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        importlib.import_module(f"tfreg.cli.{self.prog.split()[-1]}").add_arguments(self)
        return super().parse_known_args(args, namespace)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="tfreg",
        description="Learned image registration. `tfreg COMMAND --help` says more.",
        epilog=_CODES,
        formatter_class=layout,
    )
    verbose = {"action": "store_true", "help": "show the traceback of a failure"}
    parser.add_argument("--version", action="version", version=f"tfreg {__version__}")
    parser.add_argument("--verbose", **verbose)
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=_CommandParser
    )
    for name, summary in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary.capitalize()}.",
            epilog=_CODES,
            formatter_class=layout,
        )
        # SUPPRESS: else the absent option of the command would undo `tfreg --verbose COMMAND`.
        command.add_argument("--verbose", default=argparse.SUPPRESS, **verbose)
    return parser
