import json

import pytest

from tfreg.cohort.ledger import Ledger, read, unfinished
from tfreg.errors import InputError


def test_rows_come_back_in_the_order_of_the_pairs(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl", 4)
    ledger.say("begin", run="x")
    ledger.add(2, {"name": "c", "error": "a\nb"})
    ledger.add(0, {"name": "ä"})
    assert 2 in ledger and 1 not in ledger
    assert list(ledger.rows()) == [{"name": "ä"}, None, {"name": "c", "error": "a\nb"}, None]
    ledger.close()
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert len(lines) == 3 and all(line["time"] > 1.7e9 for line in lines)


def test_a_run_that_came_to_no_end_is_known_by_the_next(tmp_path):
    path = tmp_path / "ledger.jsonl"
    first = Ledger(path, 1)
    assert first.unfinished == []
    first.say("begin", run="first")
    first.add(0, {"name": "a"})
    with open(path, "ab") as file:
        file.write(b'{"name": "torn')
    second = Ledger(path, 1)
    assert second.unfinished == ["first"] and list(second.rows()) == [None]
    second.say("begin", run="second")
    second.add(0, {"name": "b"})
    second.say("end", run="second")
    assert list(second.rows()) == [{"name": "b"}] and unfinished(path) == ["first"]
    assert [line.get("name") for line in read(path)] == [None, "a", None, "b", None]


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"ledger\.jsonl cannot be written"):
        Ledger(tmp_path / "file" / "ledger.jsonl", 1)
