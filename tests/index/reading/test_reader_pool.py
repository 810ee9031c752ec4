from stablenew import worker_pool
from stablenew.index.reading.reader_pool import MOST_READERS, ReaderCount


def test_readers_that_wait_for_the_disk_get_company_and_busy_ones_do_not(monkeypatch):
    monkeypatch.setattr(worker_pool, "processor_count", lambda: 2)
    count = ReaderCount()
    assert count() == 2
    count.add(seconds=1.0, busy_seconds=0.9)
    assert count() == 2
    count.add(seconds=2.0, busy_seconds=0.2)
    assert count() == MOST_READERS


def test_there_are_never_more_than_one_writer_keeps_up_with(monkeypatch):
    monkeypatch.setattr(worker_pool, "processor_count", lambda: 64)
    assert ReaderCount()() == MOST_READERS
