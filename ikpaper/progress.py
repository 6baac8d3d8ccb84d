"""Progress of long work: one rewritten line on a terminal, sparse lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO


def duration(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """Reports work in arbitrary units with the time left, which it extrapolates.

    Args:
        total: Units of all the work.
        stream: Where to write; standard error if None.
        every: Seconds between two lines where the stream is no terminal.
        clock: Seconds since some moment.
    """

    def __init__(
        self,
        total: float,
        *,
        stream: TextIO | None = None,
        every: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self.done = 0.0
        self._stream = stream if stream is not None else sys.stderr
        self._terminal = self._stream.isatty()
        self._every = 0.2 if self._terminal else every
        self._clock = clock
        self._start = self._last = clock()
        self._skipped = 0.0
        self._pending = False

    def skip(self, units: float) -> None:
        """Count work that was found done; it tells nothing about the speed."""
        self.done += units
        self._skipped += units

    def advance(self, units: float, note: str) -> None:
        """Count `units` as done and show `note` with the time left, if it is time to."""
        self.done += units
        if self._clock() - self._last >= self._every:
            self.show(note)

    def repeat(self, units: float) -> None:
        """Count work that was done in vain and has to be done again."""
        self.total += units

    def show(self, note: str) -> None:
        """Show `note` with the time left, now."""
        self._last = self._clock()
        worked = self.done - self._skipped
        elapsed = self._last - self._start
        left = "?" if worked <= 0 else duration(elapsed * (self.total - self.done) / worked)
        share = self.done / self.total if self.total else 1.0
        line = f"{share:4.0%}  {note}  [{duration(elapsed)} gone, {left} left]"
        if self._terminal:
            line = line[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r\x1b[2K{line}")
            self._pending = True
        else:
            self._write(line + "\n")

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self._write(("\r\x1b[2K" if self._pending else "") + line + "\n")
        self._pending = False

    def _write(self, text: str) -> None:
        """Write what the stream can show of `text`; a stream that is gone costs no work."""
        encoding = self._stream.encoding or "utf-8"
        try:
            self._stream.write(text.encode(encoding, "replace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError):
            # A pipe whose reader has left, or a file that is closed.
            pass
