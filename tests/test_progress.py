import io

import pytest

from ikpaper.progress import Progress, duration


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_time_left_is_extrapolated_from_what_was_worked():
    clock, stream = Clock(), io.StringIO()
    progress = Progress(10.0, stream=stream, every=5.0, clock=clock)
    progress.skip(5.0)
    progress.show("skipped")
    clock.now += 4.0
    progress.advance(1.0, "too soon to say")
    clock.now += 1.0
    # 1.25 units took 5 seconds, so that 3.75 take 15.
    progress.advance(0.25, "under way")
    progress.repeat(2.5)
    clock.now += 5.0
    progress.advance(1.25, "again")
    progress.say("done")
    assert stream.getvalue().splitlines() == [
        " 50%  skipped  [0:00 gone, ? left]",
        " 62%  under way  [0:05 gone, 0:15 left]",
        " 60%  again  [0:10 gone, 0:20 left]",
        "done",
    ]


def test_a_terminal_has_one_line_that_is_rewritten():
    stream = Terminal()
    progress = Progress(4.0, stream=stream, clock=Clock())
    progress.show("a" * 1000)
    progress.say("stays")
    shown, stays = stream.getvalue().split("\r\x1b[2K")[1:]
    assert shown.startswith("  0%  aaa")
    assert len(shown) < 1000
    assert stays == "stays\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_stream_that_lacks_a_sign_shows_another(encoding):
    written = io.BytesIO()
    progress = Progress(1.0, stream=io.TextIOWrapper(written, encoding=encoding, newline="\n"))
    progress.say("‖θ‖ 2")
    assert written.getvalue() == b"??? 2\n"


def test_a_closed_stream_costs_no_work():
    stream = io.StringIO()
    progress = Progress(2.0, stream=stream, every=0.0)
    stream.close()
    progress.advance(1.0, "nobody reads this")
    progress.say("nor this")
    assert progress.done == 1.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0:00"), (5, "0:05"), (59.6, "1:00"), (65, "1:05"), (3661, "1:01:01")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
