import json
import shutil

import pytest

import zoo
from tfreg.errors import InputError
from zoo.tasks import TASKS


@pytest.fixture
def preset(tmp_path):
    """The JSON file of a copy of the smallest preset, with its weights beside it."""
    smallest = min(
        map(zoo.describe, zoo.list_presets()), key=lambda one: one.weights_path.stat().st_size
    )
    for path in (smallest.path, smallest.weights_path):
        (tmp_path / path.parent.name).mkdir()
        shutil.copy(path, tmp_path / path.parent.name)
    return tmp_path / "presets" / smallest.path.name


def changed(preset, **changes):
    """Other values in the JSON file: ``a__b`` is b of a, and ``...`` takes it away."""
    content = json.loads(preset.read_text())
    for names, value in changes.items():
        *outer, last = names.split("__")
        place = content
        for name in outer:
            place = place[name]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    preset.write_text(json.dumps(content))


def test_a_preset_is_loaded_from_its_file(preset):
    model = zoo.load(preset)
    assert model.task == zoo.load(str(preset)).task == zoo.describe(preset).task
    assert model.preprocessing is not None and callable(getattr(model, TASKS[model.task].call))


def test_presets_are_listed_by_task():
    by_task = {task: zoo.list_presets(task=task) for task in TASKS}
    assert sorted(name for names in by_task.values() for name in names) == zoo.list_presets()
    assert by_task["registration"]
    with pytest.raises(InputError, match=r"task must be one of registration, .*Received: task='x'"):
        zoo.list_presets(task="x")


def test_a_preset_of_another_task_is_refused(preset):
    name, wanted = zoo.describe(preset).name, zoo.describe(preset).task
    other = next(task for task in TASKS if task != wanted)
    verbs = TASKS[wanted].verb, TASKS[other].verb
    expected = f"{name} {verbs[0]}; what is needed here {verbs[1]}: `tfreg models --task {other}`"
    for look in (zoo.describe, zoo.load):
        with pytest.raises(InputError, match=expected):
            look(preset, task=other)
    assert zoo.load(preset, task=wanted).task == wanted


def test_corrupted_weights_name_file_and_hash(preset):
    known = zoo.describe(preset)
    content = bytearray(known.weights_path.read_bytes())
    content[len(content) // 2] ^= 1
    known.weights_path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{known.name}\.weights\.h5 is damaged.*{known.sha256}"):
        zoo.load(preset)


def test_missing_weights_name_file_and_hash(preset):
    known = zoo.describe(preset)
    known.weights_path.unlink()
    with pytest.raises(InputError, match=rf"{known.name}\.weights\.h5 is missing.*{known.sha256}"):
        zoo.load(preset)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"name": "x"}', '{"format": 2}'])
def test_damaged_json_is_named(preset, text):
    preset.write_text(text)
    with pytest.raises(InputError, match=rf"{preset.name} is not a preset"):
        zoo.load(preset)


@pytest.mark.parametrize("form", [1, 3])
def test_another_format_is_refused(preset, form):
    changed(preset, format=form)
    with pytest.raises(InputError, match=f"{preset.name} has format {form}; .*reads format 2"):
        zoo.load(preset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "other"}, "name must be that of the file. Received: name='other'"),
        ({"task": "painting"}, "task must be one of .*Received: task='painting'"),
        ({"task": "features"}, "task must be registration, .*Received: task='features'"),
        ({"extra": 1}, "is not a preset of format 2: .*extra"),
        ({"architecture": {"class": "x"}}, "architecture must hold class and config"),
        ({"architecture__class": "Nothing"}, "Received: architecture.class='Nothing'"),
        ({"architecture__config__voxel_size": [1, 1]}, r"architecture.config.voxel_size=\[1, 1\]"),
        ({"architecture__config__intensity_range": None}, "config.intensity_range=None"),
        ({"architecture__config__wheels": 4}, "architecture.config: .*wheels"),
        ({"preprocessing": None}, "preprocessing must be an object"),
        ({"preprocessing__size": ...}, "preprocessing.size is missing"),
        ({"preprocessing__size": [28, 0]}, r"preprocessing.size must be .*size=\[28, 0\]"),
        ({"preprocessing__percentiles": [99, 1]}, r"preprocessing.percentiles .*=\[99, 1\]"),
        ({"preprocessing__intensity_range": [0, 9]}, "has no effect beside"),
        ({"preprocessing__intensity_range": ...}, "preprocessing.intensity_range is missing"),
        (
            {"preprocessing__intensity_range": [4, 4], "preprocessing__percentiles": ...},
            r"preprocessing.intensity_range .*=\[4, 4\]",
        ),
        ({"preprocessing__intensity": "each"}, "Received: preprocessing.intensity='each'"),
        ({"preprocessing__spacing": [1, "a"]}, r"preprocessing.spacing must be .*=\[1, 'a'\]"),
        ({"score__metric": "accuracy"}, "score.metric must be one of ncc.*'accuracy'"),
        ({"score__metric": ["ncc"]}, r"Received: score.metric=\['ncc'\]"),
        ({"score__value": 1.5}, "score.value must be a number within -1 and 1. .*=1.5"),
        ({"score__value": None}, "score.value=None"),
        ({"score__data": ...}, "score.data is missing"),
        ({"score__unit": "%"}, "score may hold metric, value, data. .*score.unit='%'"),
    ],
)
def test_what_is_wrong_is_named_with_file_field_and_value(preset, change, message):
    changed(preset, **change)
    with pytest.raises(InputError, match=rf"{preset.name}.*{message}") as error:
        zoo.load(preset)
    assert "\n" not in str(error.value)


def test_a_preset_is_called_after_its_method(preset):
    changed(preset, name="another")
    other = preset.rename(preset.with_name("another.json"))
    with pytest.raises(InputError, match=r"another\.json: name must begin with \w+-. .*'another'"):
        zoo.load(other)


def test_an_unknown_preset_gets_the_nearest_names():
    first, *_ = zoo.list_presets()
    for name, nearest in (
        (f"{first}9", f"; the nearest are {first}"),
        ("nowhere/preset.json", " (zoo.list_presets()"),
        ("xyz", " (zoo.list_presets()"),
    ):
        with pytest.raises(InputError) as error:
            zoo.load(name)
        said = str(error.value)
        assert said.startswith(f"There is no preset of this name{nearest}"), said
        assert said.endswith(f"`tfreg models` list all). Received: {name}")
        assert len(said) < 220
