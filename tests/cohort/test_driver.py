import json
import os
import signal
import threading
import time
from collections import Counter

import cohort_cases
import pytest

from tfreg.cohort import driver as driver_module
from tfreg.cohort.chunks import Chunks
from tfreg.cohort.ledger import read
from tfreg.cohort.worker import Order
from tfreg.errors import InputError

pytest.importorskip("distributed", reason="needs tfreg[cluster]")


def found(rows):
    return {row["name"]: row for row in rows}


def leftovers(out):
    return [path.name for path in out.iterdir() if path.name.startswith(".")]


def test_every_pair_once_on_both_workers(running):
    words = ["well"] * 100 + ["raise", "missing", "large"]
    begun = running(words, seconds=0.002)
    rows = list(begun.rows)
    assert len(rows) == len(words) and len(found(rows)) == len(words)
    assert begun.run.counts == {"done": 101, "there": 0, "failed": 2}
    assert found(rows)["00100-raise"]["error"] == "cannot be registered"
    processes = {
        json.loads((begun.out / row["name"] / "registration.json").read_text())["process"]
        for row in rows
        if row["status"] == "done"
    }
    assert len(processes) == 2 and os.getpid() not in processes
    log = (begun.out / "logs" / "00100-raise.log").read_text()
    assert "Traceback" in log and "process " in log and leftovers(begun.out) == []
    assert not (begun.out / "00100-raise").exists()
    again = running(None, pairs=begun.pairs)
    list(again.rows)
    assert again.run.counts == {"done": 0, "there": 101, "failed": 2}


@pytest.mark.parametrize("word", ["kill", "hang"])
def test_a_pair_that_ends_its_worker_is_tried_three_times_and_listed(running, word):
    more = 3 if word == "hang" else 30  # the time of all that are registered together is waited for
    words = ["well"] * 3 + [word] + ["well"] * more
    begun = running(words, timeout=0.5 if word == "hang" else 600.0)
    rows = found(begun.rows)
    assert begun.run.counts == {"done": 3 + more, "there": 0, "failed": 1}
    reason = rows[f"00003-{word}"]["error"]
    late = "took longer than 0.5 s, 3 times"
    assert (late if word == "hang" else "worker died 3 times") in reason and len(rows) == 4 + more
    assert leftovers(begun.out) == []


def test_workers_that_are_killed_cost_no_pair(running, client):
    begun = running(["well"] * 200, seconds=0.01)
    rows, ended = [], threading.Event()
    killed = []

    def kill():
        for _ in range(3):
            if ended.wait(1.0):
                return
            pids = list(client.run(os.getpid, on_error="ignore").values())
            victim = next((pid for pid in pids if isinstance(pid, int)), None)
            if victim is not None:
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

    killer = threading.Thread(target=kill)
    killer.start()
    rows = list(begun.rows)
    ended.set()
    killer.join()
    assert killed and begun.run.counts == {"done": 200, "there": 0, "failed": 0}
    assert len(found(rows)) == len(rows) == 200
    lines = Counter(line["name"] for line in read(begun.out / "ledger.jsonl") if "name" in line)
    assert set(lines.values()) == {1} and len(lines) == 200
    assert leftovers(begun.out) == []


def test_failures_can_be_limited(running):
    begun = running(["raise"] * 40 + ["well"] * 200, limit=3)
    rows = list(begun.rows)
    assert begun.run.stopped and begun.run.counts["failed"] == 3 and len(rows) < 240
    assert sum(row is None for row in begun.run.ledger.rows()) == 240 - len(rows)
    assert leftovers(begun.out) == []


def test_an_interrupted_run_goes_on(running):
    begun = running(["well"] * 100, seconds=0.005)
    next(begun.rows)
    begun.rows.close()
    assert begun.run.ledger.path.exists() and leftovers(begun.out) == []
    again = running(None, pairs=begun.pairs)
    assert again.run.ledger.unfinished == [begun.run.run]
    list(again.rows)
    assert again.run.counts["failed"] == 0 and sum(again.run.counts.values()) == 100
    assert again.run.counts["there"] >= 1


def test_work_that_a_worker_does_not_have_is_a_reason(running, client):
    begun = running(["well"] * 3)
    order = Order("cohort_cases:none", begun.options, str(begun.out / "j"), "", 10.0)
    rows = dict(driver_module.Driver(client, begun.pairs, order, begun.run.work.failed).run())
    assert all("AttributeError" in row["error"] for row in rows.values()) and len(rows) == 3


class Silent:
    """A client whose scheduler loses what it is given, says nothing, and is asked again."""

    status = "running"

    def __init__(self, lose):
        self.lose, self.sent, self.most = lose, [], 0
        self.restarted = []
        self.scheduler = type("S", (), {"ncores": "ncores", "processing": "processing"})()
        self.processing = {}

    def submit(self, function, order, chunk, pairs, key, **_):
        future = Future(self, key)
        self.sent.append(key)
        self.most = max(self.most, len([f for f in self.sent if f not in Future.ended]))
        if chunk not in self.lose or self.lose.pop(chunk) <= 0:
            rows = [[n, {"name": name, "status": "done"}] for n, (name, _) in enumerate(pairs)]
            threading.Timer(0.01, future.end, [{"rows": rows, "seconds": 0.01}]).start()
        elif self.how == "stuck":
            self.processing = {"w0": [key], "w1": []}
        return future

    def sync(self, what, **_):
        return {"w0": 1, "w1": 1} if what == "ncores" else (self.processing or {"w0": [], "w1": []})

    def restart_workers(self, workers, **_):
        self.restarted += workers
        self.processing = {}


class Future:
    ended: set = set()  # noqa: RUF012

    def __init__(self, client, key):
        self.client, self.key, self.status, self.calls = client, key, "pending", []

    def end(self, value):
        self.value, self.status = value, "finished"
        Future.ended.add(self.key)
        for call in self.calls:
            call(self)

    def add_done_callback(self, call):
        self.calls.append(call)
        if self.status != "pending":
            call(self)

    def result(self, timeout=None):
        return self.value

    def cancel(self):
        Future.ended.add(self.key)


@pytest.mark.parametrize("how", ["lost", "stuck"])
def test_a_scheduler_that_forgets_a_chunk_is_reminded(tmp_path, monkeypatch, how):
    """No wait without an end: a chunk that nobody has, or that a worker does not begin."""
    for name, value in (("_TICK", 0.02), ("_BEAT", 0.05), ("_START", 0.3)):
        monkeypatch.setattr(driver_module, name, value)
    client = Silent({"chunk-000002": 1})
    client.how = how
    pairs = cohort_cases.pairs(tmp_path, ["well"] * 300)
    order = Order("w:o", "{}", str(tmp_path / "journals"), "", 1.0)
    said, begin = [], time.monotonic()
    rows = list(driver_module.Driver(client, pairs, order, None, said=said.append).run())
    assert time.monotonic() - begin < 10
    assert sorted(number for number, _ in rows) == list(range(300))
    assert any("chunk-000002 is sent again" in line for line in said)
    assert client.restarted == (["w0"] if how == "stuck" else [])
    assert client.most <= 5  # two for each worker, and one that was given up


def test_a_long_pair_is_no_standstill(tmp_path, monkeypatch):
    """A worker that has begun before anybody looked is left alone, however long it says nothing."""
    for name, value in (("_TICK", 0.02), ("_BEAT", 0.05), ("_START", 0.2)):
        monkeypatch.setattr(driver_module, name, value)
    client = Silent({})
    submit = client.submit

    def begun(function, order, chunk, pairs, key, **more):
        path = tmp_path / "journals" / chunk
        path.parent.mkdir(exist_ok=True)
        path.write_text("a\nb 0\n")
        client.lose, client.how = {chunk: 1}, "stuck"
        future = submit(function, order, chunk, pairs, key, **more)
        rows = [[n, {"name": name, "status": "done"}] for n, (name, _) in enumerate(pairs)]
        threading.Timer(1.0, future.end, [{"rows": rows, "seconds": 1.0}]).start()
        return future

    client.submit = begun
    pairs = cohort_cases.pairs(tmp_path, ["well"])
    order = Order("w:o", "{}", str(tmp_path / "journals"), "", 30.0)
    rows = list(driver_module.Driver(client, pairs, order, None).run())
    assert len(rows) == 1 and client.restarted == [] and len(client.sent) == 1


def test_resources_that_no_worker_has_are_waited_for(tmp_path, monkeypatch):
    for name, value in (("_TICK", 0.02), ("_BEAT", 0.05), ("_LONELY", 0.1)):
        monkeypatch.setattr(driver_module, name, value)
    client, said = Silent({"chunk-000001": 1}), []
    client.how = "lost"
    pairs = cohort_cases.pairs(tmp_path, ["well"])
    order = Order("w:o", "{}", str(tmp_path / "journals"), "", 1.0)
    more = {"resources": {"GPU": 1.0}, "said": said.append}

    def stop():
        if len(said) >= 2:
            raise KeyboardInterrupt

    running = driver_module.Driver(client, pairs, order, None, idle=stop, **more)
    with pytest.raises(KeyboardInterrupt):
        list(running.run())
    assert "waiting: the scheduler has no worker with GPU=1" in said[0] and len(client.sent) == 1


def test_what_waits_for_a_slow_chunk_is_no_standstill(tmp_path, monkeypatch):
    """The second chunk of a worker begins when the first ends, long after it was given to it."""
    for name, value in (("_TICK", 0.02), ("_BEAT", 0.05), ("_START", 0.5)):
        monkeypatch.setattr(driver_module, name, value)
    client = Silent({})
    client.sync = lambda what, **_: {"w0": 1} if what == "ncores" else {"w0": list(client.sent)}
    futures = []

    def submit(function, order, chunk, pairs, key, **_):
        rows = [[n, {"name": name, "status": "done"}] for n, (name, _) in enumerate(pairs)]
        answer, future = {"rows": rows, "seconds": 1.0}, Future(client, key)
        client.sent.append(key)
        futures.append(future)
        journal = tmp_path / "journals" / chunk
        journal.parent.mkdir(exist_ok=True)
        if len(futures) == 1:
            journal.write_text("a\nb 0\n")
            threading.Timer(1.0, future.end, [answer]).start()
        else:  # whose first word reaches us late, as on a network's file system
            threading.Timer(1.3, future.end, [answer]).start()
        return future

    client.submit = submit
    pairs = cohort_cases.pairs(tmp_path, ["well"] * 2)
    order = Order("w:o", "{}", str(tmp_path / "journals"), "", 30.0)
    rows = list(driver_module.Driver(client, pairs, order, None).run())
    assert len(rows) == 2 and client.restarted == [] and len(client.sent) == 2


def test_a_queue_is_shown_work_for_all_that_it_may_give(tmp_path):
    import dask

    client = Silent({})
    client.how = "lost"
    pairs = cohort_cases.pairs(tmp_path, ["well"] * 400)
    order = Order("w:o", "{}", str(tmp_path / "journals"), "", 30.0)
    with dask.config.set({"distributed.adaptive.maximum": 5}):
        driver = driver_module.Driver(client, pairs, order, None)
    driver._send()
    assert len(client.sent) == 10


def test_workers_within_the_calling_process_are_refused(tmp_path):
    client = Silent({})
    client.sync = lambda what, **_: {"inproc://127.0.0.1/1/2": 1} if what == "ncores" else {}
    order = Order("w:o", "{}", str(tmp_path / "journals"), "", 30.0)
    pairs = cohort_cases.pairs(tmp_path, ["well"])
    with pytest.raises(InputError, match=r"processes of their own.*Received: inproc://"):
        list(driver_module.Driver(client, pairs, order, None).run())


def test_a_scheduler_that_does_not_answer_is_lost(tmp_path, monkeypatch):
    for name, value in (("_TICK", 0.02), ("_BEAT", 0.05), ("_GONE", 0.3)):
        monkeypatch.setattr(driver_module, name, value)
    client = Silent({f"chunk-{n:06d}": 99 for n in range(50)})
    client.how = "lost"

    def sync(*_, **__):
        raise OSError("no route to host")

    client.sync = sync
    pairs = cohort_cases.pairs(tmp_path, ["well"] * 30)
    order = Order("w:o", "{}", str(tmp_path / "journals"), "", 1.0)
    with pytest.raises(driver_module.SchedulerLost, match=r"no route to host.*the same command"):
        list(driver_module.Driver(client, pairs, order, None).run())


def test_chunks_are_of_one_size_and_of_some_seconds(tmp_path):
    pairs = cohort_cases.pairs(tmp_path, ["a", "bbb"] * 400)
    chunks = Chunks(pairs)
    first = chunks.take(2)
    assert first == list(range(0, 32, 2))  # of one size; a batch, as long as nothing is known
    chunks.learn(16, 0.16)
    assert len(Chunks(pairs[:40]).take(10)) == 2  # few are for all workers
    assert len(chunks.take(2)) == 192  # a share that leaves work for all, whole batches
    chunks.learn(1, 40.0)
    assert len(chunks.take(2)) == 1  # what takes long goes alone
    chunks.seconds = 1e-4
    rest = []
    while chunks:
        rest.append(len(chunks.take(2)))
    assert sum(rest) == 800 - 16 - 192 - 1 and rest == sorted(rest, reverse=True)
    assert all(count % 16 == 0 for count in rest[:-1])
