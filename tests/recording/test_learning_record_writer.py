"""One contract for every writer, then what only the file can suffer."""

import subprocess
import sys
import textwrap
import threading

import pytest

from stablenew import InMemoryLearningRecordWriter, LearningRecord, LearningRecordWriter
from stablenew.errors import FormatError, WriteFailed
from stablenew.recording.learning_record_writer import RecordWriter
from tests.samples import record


class WriterContract:
    """What any writer promises."""

    def make_writer(self, tmp_path):
        raise NotImplementedError

    def test_it_is_a_writer(self, tmp_path):
        assert isinstance(self.make_writer(tmp_path), RecordWriter)

    def test_records_come_back_equal_and_in_order(self, tmp_path):
        writer = self.make_writer(tmp_path)
        written = [record(index=index) for index in range(5)]
        for one in written:
            writer.append_record(one)
        assert list(writer.iter_records()) == written

    def test_a_new_writer_has_no_records(self, tmp_path):
        assert list(self.make_writer(tmp_path).iter_records()) == []

    def test_reading_while_writing_sees_whole_records(self, tmp_path):
        writer = self.make_writer(tmp_path)
        writer.append_record(record(index=0))
        reader = writer.iter_records()
        writer.append_record(record(index=1))
        assert next(reader) == record(index=0)

    def test_many_threads_lose_and_repeat_nothing(self, tmp_path):
        writer = self.make_writer(tmp_path)

        def work(thread):
            for index in range(25):
                writer.append_record(record(index=thread * 25 + index))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(one.variant.index for one in writer.iter_records()) == list(range(200))


class TestInMemoryWriter(WriterContract):
    def make_writer(self, tmp_path):
        return InMemoryLearningRecordWriter()


class TestFileWriter(WriterContract):
    def make_writer(self, tmp_path):
        return LearningRecordWriter(tmp_path / "deep" / "records.jsonl")

    def test_a_second_writer_goes_on_where_the_first_ended(self, tmp_path):
        self.make_writer(tmp_path).append_record(record(index=0))
        second = self.make_writer(tmp_path)
        second.append_record(record(index=1))
        assert [one.variant.index for one in second.iter_records()] == [0, 1]

    def test_a_torn_tail_never_eats_the_next_record(self, tmp_path):
        writer = self.make_writer(tmp_path)
        writer.append_record(record(index=0))
        with writer.path.open("ab") as file:
            file.write(b'{"kind":"stablenew.lear')
        assert [one.variant.index for one in writer.iter_records()] == [0]
        writer.append_record(record(index=1))
        lines = writer.path.read_bytes().split(b"\n")
        assert LearningRecord.from_json(lines[2]) == record(index=1)

    def test_a_damaged_line_is_an_error_not_a_silence(self, tmp_path):
        writer = self.make_writer(tmp_path)
        writer.append_record(record())
        with writer.path.open("ab") as file:
            file.write(b"junk\n")
        with pytest.raises(FormatError):
            list(writer.iter_records())

    def test_a_place_that_cannot_be_written_is_a_clear_failure(self, tmp_path):
        writer = self.make_writer(tmp_path)
        writer.path.mkdir(parents=True)
        with pytest.raises(WriteFailed):
            writer.append_record(record())

    @pytest.mark.heavy
    def test_eight_processes_of_two_hundred_records_give_sixteen_hundred_whole_lines(self, tmp_path):
        script = """
            import sys
            from stablenew import LearningRecordWriter
            from tests.samples import record
            writer = LearningRecordWriter(sys.argv[1])
            for index in range(200):
                writer.append_record(record(index=int(sys.argv[2]) * 200 + index, x_padding="p" * (index * 7)))
        """
        path = tmp_path / "records.jsonl"
        command = [sys.executable, "-c", textwrap.dedent(script), path]
        processes = [subprocess.Popen([*command, str(number)]) for number in range(8)]
        assert [process.wait() for process in processes] == [0] * 8
        data = path.read_bytes()
        assert data.count(b"\n") == 1600
        assert sorted(one.variant.index for one in LearningRecordWriter(path).iter_records()) == list(range(1600))


def test_a_folder_has_a_file_for_each_run_by_a_pattern(tmp_path):
    writer = LearningRecordWriter(tmp_path / "records", pattern="of-{run_id}.jsonl")
    written = [record("run-a", 0), record("run-a", 1), record("run-b", 0)]
    for each in written:
        writer.write_record(each)
    assert sorted(path.name for path in (tmp_path / "records").iterdir()) == ["of-run-a.jsonl", "of-run-b.jsonl"]
    assert list(writer.iter_records()) == written


def test_a_record_can_be_a_file_of_its_own_and_never_replaces_another(tmp_path):
    writer = LearningRecordWriter(tmp_path / "records")
    paths = [writer.write(record("run-a", index)) for index in (0, 1, 1)]
    assert len({path.name for path in paths}) == 3
    assert all(path.name.startswith("run-a-") for path in paths)
    assert [LearningRecord.from_json(path.read_bytes()) for path in paths] == [record("run-a", n) for n in (0, 1, 1)]
    assert list(writer.iter_records()) == [], "they are no lines of the log"
