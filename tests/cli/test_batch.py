import csv
import json
import warnings
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from shipped import DIGITS as MODEL
from shipped import STAGED

import zoo
from tfreg import Geometry, Image, io, transforms
from tfreg.cli import main, work
from tfreg.cli.pairs import read_images, read_pairs, shard_of
from tfreg.cli.registrar import Files
from tfreg.cohort.pipeline import run_all
from tfreg.data import phantoms
from tfreg.errors import InputError, InputWarning

GOOD = ("a", "b", "c", "flat", "wide")


@pytest.fixture
def many(tmp_path):
    """Five pairs, of arrays and of images, and three that cannot be registered."""
    images = phantoms.digits(40, seed=8).images.astype("float32")
    for name, one, other in (("a", 4, 14), ("b", 5, 15), ("c", 6, 16)):
        np.save(tmp_path / f"{name}_fixed.npy", images[one])
        np.save(tmp_path / f"{name}_moving.npy", images[other])
    for name, turn in (("flat", ((1, 0), (0, 1))), ("wide", ((0, 1), (1, 0)))):
        grid = Geometry((28, 28), (1.5, 1.5), (4.0, 5.0), turn).resampled(size=(50, 50))
        for side, which in (("fixed", 7), ("moving", 17)):
            small = Image(images[which], Geometry((28, 28), (1.5, 1.5), (4.0, 5.0), turn))
            io.write(small.resample(grid), tmp_path / f"{name}_{side}.mha")
    np.save(tmp_path / "nan_fixed.npy", np.full((28, 28), np.nan))
    np.save(tmp_path / "nan_moving.npy", images[0])
    np.save(tmp_path / "size_fixed.npy", np.eye(30))
    np.save(tmp_path / "size_moving.npy", np.eye(30))
    rows = ["name,fixed,moving"]
    for name in ("a", "nan", "b", "none", "flat", "size", "c", "wide"):
        end = "mha" if name in ("flat", "wide") else "npy"
        rows.append(f"{name},{name}_fixed.{end},{name}_moving.{end}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.fixture
def run(many, capfd):
    def call(*words, out="out"):
        capfd.readouterr()
        code = main(["batch", str(many / "pairs.csv"), *words, "-o", str(many / out)])
        said = capfd.readouterr()
        return code, said.out, said.err

    return call


def summary(folder, name="summary.csv"):
    with open(folder / name, newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def keep(many, *names):
    """Leaves only some pairs in the list."""
    lines = (many / "pairs.csv").read_text().splitlines()
    kept = [line for line in lines[1:] if line.split(",")[0] in names]
    (many / "pairs.csv").write_text("\n".join([lines[0], *kept]) + "\n")


def test_one_that_fails_does_not_stop_the_others(many, run):
    code, said, error = run("-m", MODEL)
    assert code == 3 and "8 of 8 pairs: 5 done, 0 there before, 3 failed" in said
    rows = summary(many / "out")
    assert {name for name, row in rows.items() if row["status"] == "done"} == set(GOOD)
    for name, reason in (("nan", "finite"), ("none", "no such file"), ("size", "multiples")):
        assert rows[name]["status"] == "failed" and reason in rows[name]["error"]
        assert any(line.startswith(f"tfreg batch: {name}: ") for line in error.splitlines())
        assert not (many / "out" / name).exists()
    assert "Traceback" not in error
    for name in GOOD:
        assert float(rows[name]["after"]) > float(rows[name]["before"])
    files = {path.name for path in (many / "out" / "a").iterdir()}
    assert files == {"moved.npy", "displacement.npy", "registration.json"}
    files = {path.name for path in (many / "out" / "flat").iterdir()}
    assert files == {"moved.mha", "displacement.nii", "registration.json"}


def test_the_answers_are_those_of_single_registrations(many, run):
    run("-m", MODEL)
    for name, end in (("b", "npy"), ("wide", "mha")):
        pair = [str(many / f"{name}_{side}.{end}") for side in ("fixed", "moving")]
        assert main(["register", *pair, "-m", MODEL, "-o", str(many / "one" / name)]) == 0
        moved = [io.read(many / out / name / f"moved.{end}").array for out in ("out", "one")]
        np.testing.assert_allclose(*moved, atol=0.02)
    import SimpleITK as sitk

    folder = many / "out" / "wide"
    field = sitk.ReadImage(str(folder / "displacement.nii"), sitk.sitkVectorFloat64)
    theirs = sitk.Resample(
        sitk.ReadImage(str(many / "wide_moving.mha")),
        sitk.ReadImage(str(many / "wide_fixed.mha")),
        sitk.DisplacementFieldTransform(field),
    )
    difference = sitk.GetArrayFromImage(theirs) - io.read(folder / "moved.mha").array
    assert np.abs(difference).max() < 0.1


@pytest.mark.long
def test_a_network_in_stages(many, run):
    keep(many, "a", "b", "flat", "wide")
    assert run("-m", STAGED, "--stages", "2", "--memory-gib", "4")[0] == 0
    model = zoo.load(STAGED)
    rows, found = summary(many / "out"), {}
    for name in ("a", "flat", "wide"):
        read, end = (np.load, "npy") if name == "a" else (io.read, "mha")
        pair = [read(many / f"{name}_{side}.{end}") for side in ("fixed", "moving")]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            for stages in (2, 3):
                found[stages] = model.register(*pair, stages=stages).similarity_after
        assert float(rows[name]["after"]) == pytest.approx(found[2], abs=1e-3)
        assert abs(found[3] - found[2]) > 2e-3
    code, said, _ = run("-m", STAGED, "--stages", "3", "--memory-gib", "4")
    assert code == 0 and "4 done, 0 there before" in said


@pytest.mark.long
def test_what_is_there_is_not_registered_again(many, run):
    keep(many, "a", "b", "flat")
    assert run("-m", MODEL)[0] == 0
    record = many / "out" / "a" / "registration.json"
    times = record.stat().st_mtime_ns
    code, said, _ = run("-m", MODEL)
    assert code == 0 and "0 done, 3 there before" in said and record.stat().st_mtime_ns == times
    assert summary(many / "out")["a"]["after"]
    np.save(many / "a_fixed.npy", np.load(many / "a_fixed.npy")[::-1])  # another image
    (many / "out" / "b" / "registration.json").write_text("{ half")
    code, said, _ = run("-m", MODEL)
    assert code == 0 and "2 done, 1 there before" in said
    code, said, _ = run("-m", MODEL, "--refine", "2")
    assert code == 0 and "3 done, 0 there before" in said


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_voxels_in_a_file_of_their_own_are_looked_at(many, suffix):
    files = Files(many / f"one{suffix}", many / "flat_moving.mha")
    image = io.read(many / "flat_fixed.mha")
    io.write(image, files.fixed)
    first, header = files.sha256(), files.fixed.read_bytes()
    io.write(Image(image.array[::-1], image.geometry), files.fixed)
    second = files.sha256()
    assert files.fixed.read_bytes() == header and first["moving"] == second["moving"]
    assert first["fixed"] != second["fixed"]


def test_all_files_of_the_initial_transform_are_looked_at(many, run):
    keep(many, "flat")
    grid = io.read(many / "flat_fixed.mha").geometry
    bend = transforms.BSpline(np.zeros((8, 8, 2)), grid.resampled(size=(8, 8)))
    path = many / "TransformParameters.txt"
    for shift, said in ((0.5, "1 done"), (0.5, "1 there before"), (1.5, "1 done")):
        first = transforms.Affine(np.eye(2), [shift, 0.0])  # in a file of its own
        transforms.save(transforms.compose(first, bend), path, grid)
        assert said in run("-m", MODEL, "--init", str(path))[1]


def test_shards_are_parts_of_the_whole(many, run):
    keep(many, *GOOD)
    found = []
    for part in ("1/2", "2/2"):
        assert run("-m", MODEL, "--shard", part)[0] == 0
        found.append(set(summary(many / "out", f"summary-{part.replace('/', '-of-')}.csv")))
    assert found[0] | found[1] == set(GOOD) and not found[0] & found[1]
    assert abs(len(found[0]) - len(found[1])) == 1
    code, said, _ = run("-m", MODEL)
    assert code == 0 and "5 there before" in said


@pytest.mark.long
def test_without_a_network_and_from_the_other_command(many, capfd):
    keep(many, "a", "flat")
    out = str(many / "out")
    options = ["--transform", "translation", "--pyramid", "fast", "--report"]
    words = ["register", "--pairs", str(many / "pairs.csv"), *options, "-o", out]
    assert main(words) == 0
    assert "2 of 2 pairs: 2 done" in capfd.readouterr().out
    for name in ("a", "flat"):
        assert "<html" in (many / "out" / name / "report.html").read_text()
        record = json.loads((many / "out" / name / "registration.json").read_text())
        assert record["transform"] == ["translation"] and record["model"] is None


@pytest.mark.long
def test_masks_of_a_list(many, run):
    np.save(many / "mask.npy", np.eye(28, dtype="uint8") + 1)
    (many / "pairs.csv").write_text(
        "fixed,moving,fixed_mask\na_fixed.npy,a_moving.npy,mask.npy\nb_fixed.npy,b_moving.npy,\n"
    )
    assert run("-m", MODEL, "--refine", "fast")[0] == 0
    name = "a_moving-to-a_fixed"
    record = json.loads((many / "out" / name / "registration.json").read_text())
    assert "fixed_mask" in record["provenance"]["sha256"]
    code, _, error = run("-m", MODEL, out="other")
    assert code == 3 and "no effect" in error
    assert summary(many / "other")["b_moving-to-b_fixed"]["status"] == "done"


def test_interrupted(many, run, monkeypatch):
    keep(many, "a", "flat", "b")

    def register(self, group):
        if group[0].read.physical:
            raise KeyboardInterrupt
        return self.registrar.register([loaded.read for loaded in group])

    monkeypatch.setattr(work.Batch, "register", register)
    code, said, _ = run("-m", MODEL)
    assert code == 130 and said == ""
    assert summary(many / "out")["flat"]["status"] == "not done"
    monkeypatch.undo()
    assert run("-m", MODEL)[0] == 0


def test_a_failure_that_nobody_expected(many, run, monkeypatch):
    keep(many, "a", "b")

    def write(self, pair, loaded, answer):
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr(work.Batch, "write", write)
    code, _, error = run("-m", MODEL)
    assert code == 3 and "Traceback" not in error
    assert "tfreg batch: a: unexpected failure: ZeroDivisionError: by zero\n" in error
    assert "Traceback" in run("-m", MODEL, "--verbose")[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", f"{MODEL}-77"], "no preset of this name"),
        (["-m", MODEL, "--refine", "-1"], "refine"),
        (["-m", MODEL, "--shard", "3/2"], "--shard"),
        (["-m", MODEL, "--stages", "2"], "does not take this option"),
        (["-m", MODEL, "--init", "none.tfm"], "none.tfm"),
        (["--transform", "wobble"], "wobble"),
        (["--timeout", "5"], "--timeout is for workers"),
        (["--cluster-tls", "x.yaml"], "--cluster-tls is for workers"),
        (["--resources", "GPU=1"], "--resources is for workers"),
        (["--worker-memory-gib", "4"], "--worker-memory-gib is for workers"),
        (["--limit-failures", "0"], "--limit-failures must be positive"),
        (["--cluster", "local:2", "--timeout", "0"], "--timeout must be positive"),
        (["--cluster", "local:2", "--resources", "GPU"], "--resources must be NAME=N"),
        (["--atlas", "a.npy", "--all-to-all"], "--all-to-all takes no --atlas"),
        (["--atlas-mask", "a.npy"], "--atlas-mask is for --atlas"),
    ],
)
def test_what_no_pair_could_be_registered_with(many, run, words, message):
    code, said, error = run(*words)
    assert code == 2 and said == "" and message in error and len(error.splitlines()) == 1


def test_a_file_in_the_place_of_the_folder(many, run):
    (many / "out").write_text("here first")
    code, _, error = run("-m", MODEL)
    assert code == 2 and "cannot be written" in error and (many / "out").read_text() == "here first"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no header"),
        ("fixed,moving\n", "lists no pair"),
        ("fixed;moving\na;b\n", "columns fixed and moving"),
        ("fixed,moving,colour\na,b,c\n", "colour"),
        ("fixed,moving\na\n", "line 2.*as many fields"),
        ("fixed,moving\na,b,c\n", "line 2.*as many fields"),
        ("fixed,moving\na,b\na,\n", "line 3: moving is empty"),
        ("fixed,moving\nx/a.npy,b.npy\ny/A.npy,B.npy\n", "line 3: another pair"),
        ("fixed,moving,name\na,b,../c\n", "folder's name"),
        ("fixed,moving,name\na,b,.hidden\n", "folder's name"),
        ('fixed,moving\n"a,b\n', "not a CSV"),
        ("fixed,moving\n\xff\xfe,b\n", "not a CSV"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, text, message):
    (tmp_path / "p.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        read_pairs(tmp_path / "p.csv")


def test_a_list(tmp_path):
    (tmp_path / "p.csv").write_text(
        "\ufefffixed, moving ,name,fixed_mask\nx/a.nii.gz,/b.mha,,\nc,d,the name,m.nrrd\n",
        encoding="utf-8",
    )
    first, second = read_pairs(tmp_path / "p.csv")
    assert first.name == "b-to-a" and first.files.fixed == tmp_path / "x" / "a.nii.gz"
    assert first.files.moving == Path("/b.mha") and set(first.files.named) == {"fixed", "moving"}
    assert second.name == "the name" and second.files.fixed_mask == tmp_path / "m.nrrd"
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(tmp_path / "none.csv")


def test_onto_an_atlas_and_each_onto_each(tmp_path):
    (tmp_path / "images.csv").write_text(
        "image,mask,name\na.nii.gz,m.nii.gz,\nx/b.nii,,\nc.mha,,the third\n"
    )
    pairs = read_images(tmp_path / "images.csv", Path("/atlas/t1.nii"), Path("/atlas/m.nii"))
    assert [pair.name for pair in pairs] == ["a", "b", "the third"]
    assert pairs[0].files == Files(
        Path("/atlas/t1.nii"), tmp_path / "a.nii.gz", Path("/atlas/m.nii"), tmp_path / "m.nii.gz"
    )
    assert pairs[1].files.moving == tmp_path / "x/b.nii" and not pairs[1].files.moving_mask
    pairs = read_images(tmp_path / "images.csv", None)
    assert [pair.name for pair in pairs] == [
        *("b-to-a", "the third-to-a", "a-to-b", "the third-to-b", "a-to-the third"),
        "b-to-the third",
    ]
    assert pairs[2].files == Files(
        tmp_path / "x/b.nii", tmp_path / "a.nii.gz", None, tmp_path / "m.nii.gz"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fixed,moving\na,b\n", "must have the column image"),
        ("image,colour\na,b\n", "colour"),
        ("image\n", "lists no pair"),
        ("image\na.npy\n", "two images or more"),
        ("image,name\nx/a.npy,\ny/a.npy,\n", "line 3: another pair"),
        ("image,name\na.npy,\n,b\n", "line 3"),
    ],
)
def test_lists_of_images_that_cannot_be_used(tmp_path, text, message):
    (tmp_path / "i.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_images(tmp_path / "i.csv", None)


def test_modes_in_the_command(many, run, capfd):
    """The list of images goes through the same engine; an atlas is not of the list."""
    (many / "pairs.csv").write_text("image\na_moving.npy\nb_moving.npy\n")
    assert run("-m", MODEL, "--atlas", str(many / "a_fixed.npy"), out="atlas")[0] == 0
    assert set(summary(many / "atlas")) == {"a_moving", "b_moving"}
    assert run("-m", MODEL, "--all-to-all", out="all")[0] == 0
    assert set(summary(many / "all")) == {"a_moving-to-b_moving", "b_moving-to-a_moving"}
    fixed = summary(many / "all")["a_moving-to-b_moving"]["fixed"]
    assert fixed.endswith("b_moving.npy")


def test_failures_can_be_limited(many, run):
    rows = [f"none{k},none.npy,none.npy" for k in range(60)]
    (many / "pairs.csv").write_text("\n".join(["name,fixed,moving", *rows]) + "\n")
    code, said, _ = run("--limit-failures", "2", "--pyramid", "fast")
    assert code == 3 and "2 failed" in said and "stopped at 2 failures" in said
    found = [row["status"] for row in summary(many / "out").values()]
    assert found.count("failed") == 2 and found.count("not done") == 58


def test_a_folder_that_was_half_replaced_is_registered_again(many, run):
    """Killed while the files of other settings took the place of the old: the record is absent."""
    keep(many, "a")
    assert run("-m", MODEL)[0] == 0
    record = many / "out" / "a" / "registration.json"
    (many / "out" / "a" / "mine.txt").write_text("a user's own")
    record.unlink()
    assert "1 done, 0 there" in run("-m", MODEL)[1] and record.exists()
    assert (many / "out" / "a" / "mine.txt").exists()
    left = [path.name for path in (many / "out").iterdir() if path.name.startswith(".")]
    assert left == []


def test_what_another_worker_has_written_meanwhile_stays(many, monkeypatch):
    """Two workers may have a pair, of which one was thought lost."""
    done = work.of(work.options_of({"model": MODEL}, many / "out", False, "run"))
    pair = read_pairs(many / "pairs.csv")[0]
    loaded = done.load(pair)
    answer = done.register([loaded])[0]
    first = done.write(pair, loaded, answer)
    monkeypatch.setattr(io, "write_folder", None)
    assert done.write(pair, loaded, answer) == first and first["status"] == "done"


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2", ""])
def test_shards_that_there_are_not(text):
    with pytest.raises(InputError, match="--shard"):
        shard_of(text)
    assert shard_of(None) == (1, 1)


class Work:
    """Pairs are numbers; multiples of 7 cannot be loaded, 5 not registered, 11 not written."""

    def __init__(self, kinds=1, voxels=1):
        self.kinds, self.size, self.groups = kinds, voxels, []

    def load(self, pair):
        if pair.number % 7 == 0:
            raise ValueError("load")
        return {"there": pair.number} if pair.number % 13 == 0 else pair

    def kind(self, pair):
        return (pair.number % self.kinds,)

    def voxels(self, pair):
        return self.size

    def register(self, group):
        self.groups.append([pair.number for pair in group])
        if any(pair.number % 5 == 0 for pair in group):
            raise ValueError("register")
        return [-pair.number for pair in group]

    def write(self, pair, loaded, answer):
        assert pair is loaded and answer == -pair.number
        if pair.number % 11 == 0:
            raise ValueError("write")
        return pair.number


def numbers(count):
    files = SimpleNamespace(named={})
    return [SimpleNamespace(number=n, files=files) for n in range(1, count + 1)]


@pytest.mark.parametrize("together", [True, False])
def test_every_pair_comes_out_once(together):
    work = Work(kinds=3)
    found = {pair.number: outcome for pair, outcome in run_all(numbers(120), work, together)}
    assert sorted(found) == list(range(1, 121))
    for number, outcome in found.items():
        reason = next(
            (
                r
                for n, r in ((7, "load"), (13, "there"), (5, "register"), (11, "write"))
                if not number % n
            ),
            None,
        )
        if reason == "there":
            assert outcome == {"there": number}
        elif reason:
            assert str(outcome) == reason
        else:
            assert outcome == number
    assert together or all(len(group) == 1 for group in work.groups)


def test_groups_have_one_size_after_a_full_one():
    work = Work()
    pairs = [pair for pair in numbers(60) if pair.number % 5 and pair.number % 7]
    list(run_all(pairs, work, True))
    assert {len(group) for group in work.groups} == {16}
    alone = Work(voxels=2**19)
    list(run_all(pairs, alone, True))
    assert {len(group) for group in alone.groups} == {2}
    few = Work()
    list(run_all(pairs[:3], few, True))
    assert {len(group) for group in few.groups} == {3}


def test_nothing_more_is_begun_after_an_interruption():
    work = Work()
    loaded = []
    work.load = lambda pair: loaded.append(pair.number) or pair
    running = run_all([p for p in numbers(500) if p.number % 5 and p.number % 11], work, True)
    next(running)
    running.close()
    assert len(loaded) < 200 and not isinstance(loaded, Future)
