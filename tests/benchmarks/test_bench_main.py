import importlib
import json
import subprocess
import sys
from pathlib import Path

from shipped import CHESTS

from benchmarks import readme
from benchmarks.__main__ import main, tables

# What loads for seconds, and for a table that runs alone.
HEAVY = ("keras", "tensorflow", "jax", "matplotlib", "scipy", "SimpleITK", "itk", "torch")
_ALONE = """
import json, sys, time
from benchmarks.__main__ import main
codes = []
for words in json.loads(sys.argv[1]):
    try:
        codes.append(main(words))
    except SystemExit as end:
        codes.append(end.code)
loaded = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
print(json.dumps([codes, loaded, time.process_time()]))
"""
WRONG = [
    (["run", "optimise-cien"], "argument TABLE: invalid choice: 'optimise-cien' (choose from "),
    (["run", "optimise-cine", "--pairs", "0"], "--pairs must be positive. Received: 0"),
    (["run", "optimise-digits", "--pairs", "x"], "argument --pairs: invalid int value: 'x'"),
    (["run", "optimise-cine", "--seed", "-1"], "--seed must not be negative. Received: -1"),
    (["run", "optimise-cine", "--methods", "none,demons"], "tfreg accurate. Received: demons"),
    (["run", "optimise-chest-ct", "--methods", ","], "Received: nothing"),
    (["run", "optimise-cine", "--data", "brains"], "argument --data: invalid choice: 'brains'"),
    (["run", "optimise-chest-ct", "--methods", "x"], "--methods takes none, elastix 20 mm x500, "),
    (["run", "optimise-digits", "--methods", "x"], "Received: x"),
    (["run", "optimise-growth", "--sizes", "4"], "--sizes must be integers, 16 or more."),
    (["run", "command-line", "--size", "100"], "--size must be a multiple of 32"),
    (["run", "resampling", "--repeats", "0"], "--repeats must be positive. Received: 0"),
]

# What the committed results do not show yet: tables, and lines of tables, which are new since they
# ran. Once they have run again, the test below asks for these to be taken out.
NOT_RUN = {"multimodal", "optimise-brain"}
ADDED = {
    "optimise-chest-ct": {
        "tfreg lung-ct",
        "elastix 10 mm x2000 confined",
        "greedy confined",
    },
    CHESTS: {"tfreg accurate", "tfreg lung-ct", "ANTs SyN confined", "greedy confined"},
}


def test_the_list_and_wrong_options_load_nothing_heavy():
    """All of them in one process, which compiles the modules as well in a fresh clone."""
    words = [["list"], *(words for words, _ in WRONG)]
    answer = subprocess.run(
        [sys.executable, "-c", _ALONE, json.dumps(words), json.dumps(HEAVY)],
        capture_output=True,
        text=True,
        check=True,
        cwd=readme.ROOT,
    )
    *listed, last = answer.stdout.splitlines()
    codes, loaded, seconds = json.loads(last)
    assert codes == [0] + [2] * len(WRONG) and loaded == [] and seconds < 3
    assert [line.split()[0] for line in listed] == list(tables())
    for line, (_, message) in zip(answer.stderr.splitlines(), WRONG, strict=True):  # a line each
        assert message in line


def test_a_table_is_a_file(monkeypatch, tmp_path, capsys):
    """One more module is one more table; nothing else is told of it."""
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "mine_on_hearts.py").write_text('"""Mine on hearts.\n\nMore of it."""\n1 / 0\n')
    (folder / "_shared.py").write_text('"""No table."""\n')
    monkeypatch.setattr("benchmarks.__main__._FOLDER", tmp_path)
    assert tables() == {"mine-on-hearts": "Mine on hearts"}
    assert main(["list"]) == 0
    assert capsys.readouterr().out == "mine-on-hearts       Mine on hearts\n"


def test_committed_tables_can_be_made_again():
    """Each of their lines is one that the table still has, and of others a note says why not."""
    checked = 0
    for table in tables():
        module = importlib.import_module(f"benchmarks.tables.{table.replace('-', '_')}")
        if hasattr(module, "contenders") or hasattr(module, "CONTENDERS"):
            known = module.CONTENDERS if hasattr(module, "CONTENDERS") else module.contenders()
            names = {contender.name for contender in known}
            path = Path(readme.ROOT, "benchmarks/results", table, "table.json")
            if table in NOT_RUN:
                assert not path.exists(), f"{table} has run"
                continue
            content = json.loads(path.read_text())
            there = {row["method"] for row in content["rows"]}
            added = ADDED.get(table, set())
            assert not there & added, f"{table} has run with {there & added}"
            assert there | added <= names and len(there) > len(names) / 2
            for name in names - there - added:
                assert any(note.startswith(f"{name}: ") for note in content["notes"]), name
            checked += 1
    assert checked > 5
