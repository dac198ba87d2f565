import threading

import pytest

from tfreg.cohort.journal import Journal, deaths_of


def test_a_pair_is_charged_where_its_worker_died_over_it(tmp_path):
    path = tmp_path / "deep" / "chunk"
    first = Journal(path)
    assert not first.deaths
    with first.working([0]):
        pass
    with pytest.raises(ValueError, match="fails"), first.working([1]):
        raise ValueError("fails")  # an error is no death
    ended = first.working([2, 3])
    ended.__enter__()  # and never ended
    second = Journal(path)
    assert second.deaths == {2: 1, 3: 1} and not second.late
    with second.working([3]):
        pass
    late = second.working([2])
    late.__enter__()
    second.too_late([2])
    third = Journal(path)
    assert third.deaths == {2: 2, 3: 1} and third.late == {2: 1}


def test_a_line_that_a_kill_cut_is_not_read(tmp_path):
    path = tmp_path / "chunk"
    path.write_bytes(b"a\nb 1\nb 2\ne 1\nb")
    assert deaths_of(path)[0] == {2: 1}
    assert deaths_of(tmp_path / "none") == ({}, {})


def test_lines_of_several_threads_stay_whole(tmp_path):
    journal = Journal(tmp_path / "chunk")

    def work(number):
        for _ in range(200):
            with journal.working([number, number + 100]):
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    lines = (tmp_path / "chunk").read_text().splitlines()
    assert len(lines) == 1 + 8 * 200 * 4 and not deaths_of(tmp_path / "chunk")[0]
