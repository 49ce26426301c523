"""Tables on terminals of any width: nothing is cut, words stay whole, what goes on stands below itself."""

import sys

import pytest

from harness.cli import _report, screen
from harness.cli.screen import Screen, hanging
from harness.errors import BuildError
from harness.progress import Step

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


@pytest.mark.parametrize(
    ("note", "drawn"), [("CC fs/[/x].o", "CC fs/[/x].o"), ("CC fs/\x1b]0;owned\x07.o", "CC fs/ ]0;owned .o")]
)
def test_what_is_under_test_neither_breaks_nor_steers_the_live_line(monkeypatch, capsys, note, drawn):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(screen, "PATIENCE", -1)
    with Screen() as shown:
        shown.step(Step("building", 1, 2, note))
    assert drawn in capsys.readouterr().err


def test_nor_an_error(capsys):
    _report(BuildError("'\x1b[2Jseries' does not compile", first_error="a.c: \x1b[31merror", hint="\x07"))
    said = capsys.readouterr().err
    assert "a.c:  [31merror" in said
    assert not any(word in said for word in ("\x1b[2J", "\x1b[31m", "\x07"))
