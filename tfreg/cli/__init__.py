"""The ``tfreg`` command. Exit codes: 0 done, 1 an unexpected failure, 2 unusable input."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from tfreg import __version__
from tfreg.errors import InputError

_COMMANDS = {
    "register": "register one image onto another with a network of the zoo",
    "train": "train a network of the zoo with its paper's recipe",
    "models": "list the presets of the zoo",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: the words after ``tfreg``; those of the process if absent.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="tfreg", description="Learned image registration. `tfreg COMMAND --help` says more."
    )
    parser.add_argument("--version", action="version", version=f"tfreg {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = {}
    for name, summary in _COMMANDS.items():
        modules[name] = importlib.import_module(f"tfreg.cli.{name}")
        modules[name].add_arguments(
            commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        )
    options = parser.parse_args(arguments)
    # Set before TensorFlow loads: its start-up notices are not for the user of a command.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        modules[options.command].run(options)
    except InputError as error:
        print(f"tfreg {options.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, e.g. `tfreg models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
