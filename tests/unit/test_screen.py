"""Tables on terminals of any width: nothing is cut, words stay whole, what goes on stands below itself."""

import sys

import pytest

from harness.cli.screen import hanging

HEAD = "  ext4-orphanfile        "
TEXT = "ext4 with a file of orphans instead of a list  (relink, ext4-family)"


@pytest.fixture
def terminal(monkeypatch):
    """Make standard output a terminal of so many columns."""

    def make(columns):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))

    return make


def test_what_is_read_by_a_program_is_one_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert hanging(HEAD, TEXT) == HEAD + TEXT


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_words_stay_whole_and_lines_fit(terminal, columns):
    terminal(columns)
    lines = hanging(HEAD, TEXT).split("\n")
    assert all(len(line) <= columns for line in lines)
    assert " ".join(lines).split() == (HEAD + TEXT).split()
    assert (len(lines) == 1) == (columns == 200)


def test_the_text_goes_on_below_itself_where_there_is_room(terminal):
    terminal(60)
    assert hanging(HEAD, TEXT).split("\n")[1].startswith(" " * len(HEAD) + "of")
    terminal(40)
    assert hanging(HEAD, TEXT).split("\n")[1].startswith(" " * 6 + "file")
