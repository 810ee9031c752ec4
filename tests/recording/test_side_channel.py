import logging

import pytest

from stablenew.recording.side_channel import SideChannel, attempt


def fail():
    raise OSError(28, "No space left on device")


def test_results_pass_and_failures_become_none():
    channel = SideChannel("recording")
    assert channel.call(lambda a, b=0: a + b, 1, b=2) == 3
    assert channel.summary() is None
    assert channel.call(fail) is None
    assert "No space left" in channel.summary()


def test_many_failures_are_logged_once_and_counted(caplog):
    channel = SideChannel("recording")
    with caplog.at_level(logging.DEBUG):
        for _ in range(5):
            channel.call(fail)
    assert len(caplog.records) == 1
    assert "5 times" in channel.summary()


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_a_wish_to_stop_is_no_failure(signal):
    def stop():
        raise signal

    with pytest.raises(signal):
        SideChannel("recording").call(stop)
    with pytest.raises(signal):
        attempt(stop)
