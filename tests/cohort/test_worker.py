import json
import threading
import time

import cohort_cases

from tfreg.cohort import worker


def test_a_worker_of_several_threads_does_one_chunk_at_a_time(tmp_path, monkeypatch):
    pairs = cohort_cases.pairs(tmp_path / "in", ["well", "well"])
    (tmp_path / "out").mkdir()
    work = cohort_cases.of(json.dumps({"out": str(tmp_path / "out"), "run": "x"}))
    busy, most, answers = [], [], []

    def register(group):
        busy.append(1)
        most.append(len(busy))
        time.sleep(0.2)
        busy.pop()
        return [0] * len(group)

    work.register = register
    monkeypatch.setattr(worker, "work_of", lambda *_: work)
    order = vars(worker.Order("w:o", "{}", str(tmp_path / "journals"), "", 60.0))

    def run(pair):
        answers.append(worker.run_chunk(order, pair.name, [pair.plain()]))

    threads = [threading.Thread(target=run, args=(pair,)) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1]
    assert [row["status"] for answer in answers for _, row in answer["rows"]] == ["done", "done"]
    assert all(answer["seconds"] < 0.39 for answer in answers)  # waiting is not counted
