"""``tfreg models``."""

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--task", help="only presets of this task, such as registration")
    parser.add_argument("--json", action="store_true", help="as JSON, with all that is known")


def run(options: argparse.Namespace) -> None:
    """Prints a line per preset."""
    import zoo
    from tfreg.cli.table import aligned

    presets = [zoo.describe(name) for name in zoo.list_presets(options.task)]
    if options.json:
        known = [{k: v for k, v in vars(preset).items() if k != "path"} for preset in presets]
        print(json.dumps(known, indent=2))
        return
    rows = [
        (
            preset.name,
            preset.task,
            "x".join(map(str, preset.preprocessing["size"])),
            f"{preset.score['metric']} {preset.score['value']}",
            preset.licence,
            preset.summary,
        )
        for preset in presets
    ]
    print(aligned(("preset", "task", "size", "score", "licence", "what it is"), rows))
