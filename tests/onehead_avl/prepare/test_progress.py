import io
from contextlib import redirect_stderr

from onehead_avl.prepare import progress
from onehead_avl.prepare.progress import bar, in_gigabytes


class Terminal(io.StringIO):
    """Standard error where somebody looks at it."""

    def isatty(self):
        return True


def test_a_bar_shows_what_is_done_the_speed_and_the_time_left(monkeypatch):
    monkeypatch.setattr(progress, "_DELAY", 0)
    with redirect_stderr(Terminal()) as terminal, bar("fetching x.tar", 4_000_000, "B", done=1_000_000) as shown:
        shown.update(1_000_000)
        shown.refresh()
        line = terminal.getvalue().split("\r")[-1]
    assert line.startswith("fetching x.tar:  50%|")
    assert "2.00M/4.00M [" in line
    assert "<" in line  # time gone < time left
    assert line.rstrip().endswith("B/s]")


def test_what_takes_no_time_shows_no_bar():
    with redirect_stderr(Terminal()) as terminal, bar("reading", 3, "picture") as shown:
        for _ in range(3):
            shown.update()
    assert terminal.getvalue() == ""


def test_sizes_are_in_gigabytes():
    assert in_gigabytes(1_999_639_040) == "2.00 GB"
