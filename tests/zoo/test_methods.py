import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfreg.errors import InputError
from zoo import methods
from zoo.tasks import TASKS

PLAIN = {"package": "p", "name": "x", "paper": "q", "task": "features", "models": {}}


def test_every_folder_of_the_zoo_is_found_and_what_it_names_is_there():
    found = methods.find()
    folders = {
        path.parent.name for path in methods.Path(methods.__file__).parent.glob("*/model.py")
    }
    assert {*found} == folders and list(found) == sorted(found)
    for name, method in found.items():
        assert method.name == name and method.task in TASKS and method.paper
        assert (method.folder / "README.md").is_file()
        for kind, module in method.models.items():
            assert methods.of_model(kind) is method
            assert getattr(method.module(module), kind).task == method.task
        for recipe in method.recipes:
            assert methods.recipe(recipe).name == recipe and methods.recipe(recipe).method is method


def test_no_test_outside_its_folder_names_a_method():
    """Beside those of its own tables, and the one page that says which serve as examples."""
    tests = Path(__file__).parent.parent
    for name in methods.find():
        own = (tests / "zoo" / name, tests / "benchmarks" / f"test_{name}", tests / "shipped.py")
        named = re.compile(rf"(?<![\w-]){name}-\w|zoo[./]{name}\b")
        for path in tests.rglob("*.py"):
            if not str(path).startswith(tuple(map(str, own))):
                assert not named.findall(path.read_text(encoding="utf-8")), path


def test_methods_are_listed_without_loading_a_network():
    code = (
        "import sys, zoo; from zoo import methods; methods.find(); zoo.list_presets(); "
        "[zoo.describe(name) for name in zoo.list_presets()]; "
        "print(*sorted({'tensorflow', 'keras', 'numpy', 'jax', 'tfreg.data'} & {*sys.modules}))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == ""


def test_a_package_that_is_installed_brings_its_method(outside):
    assert methods.find()["trial"].folder == outside / "trial"
    assert methods.of_model("TrialNet").name == "trial"
    assert methods.recipe("trial-digits").method is methods.find()["trial"]


def test_without_that_package_there_is_none():
    assert "trial" not in methods.find() and methods.of_model("TrialNet") is None
    with pytest.raises(InputError, match=r"recipe must be one of .*Received: trial-digits"):
        methods.recipe("trial-digits")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "painting"}, "task must be one of .*Received: task=painting"),
        ({"recipes": {"y-data": "train"}}, "begins with x. Received: y-data"),
    ],
)
def test_a_method_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        methods.Method(**{**PLAIN, **change})


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a package whose entry point says that it is a method."""

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[tfreg.methods]\n{name} = {name}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    return write


def source(name="z", models="", task="features"):
    """A module with a method."""
    made = f"METHOD = Method(__name__, {name!r}, 'p', {task!r}, {{{models}}})"
    return f"from zoo.methods import Method\n{made}\n"


FIRST = next(iter(methods.find().values()))
MODEL = next(iter(FIRST.models))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("no_method", "", "no_method must hold a zoo.methods.Method called METHOD"),
        ("no_import", "import nothing_at_all", "method no_import cannot be loaded: .*nothing_at"),
        ("no_task", source(task="dance"), "method no_task cannot be loaded: .*task=dance"),
        ("same_name", source(FIRST.name), f"of one name. Received: {FIRST.name}"),
        ("same_model", source(models=f"{MODEL!r}: 'm'"), f"share models. Received: {MODEL}"),
    ],
)
def test_a_package_that_is_no_method_is_named(package, name, text, message):
    package(name, text)
    with pytest.raises(InputError, match=message):
        methods.find()
