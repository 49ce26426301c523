"""Which tools run on the host, and what is said of one that does not."""

from pathlib import Path

import pytest

from harness.cache import Cache
from harness.catalogue.load import load
from harness.errors import UserError
from harness.paths import Workspace
from harness.progress import silent
from harness.runner import tool
from harness.runner.prepare import Place

TREE = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path):
    workspace = Workspace(TREE)
    return Place(workspace, load(workspace), Cache(tmp_path))


def test_a_series_names_its_tools(place):
    assert tool.tools(place.catalogue) == {"ckptinfo": "checkpoint-relink"}


def test_a_tool_that_no_series_names(place):
    with pytest.raises(UserError, match="no series has a tool 'ckptinf'") as raised:
        tool.make(place, "ckptinf", None, silent)
    assert "ckptinfo" in (raised.value.hint or "")


def test_a_device_is_no_file_to_be_read(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\ncat $1; echo $1\n")
    program.chmod(0o755)
    done = tool.run(program, ["/dev/null"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "/dev/null\n", "")


def test_a_tool_reads_its_files_and_nothing_is_written(tmp_path):
    image = tmp_path / "image"
    image.write_text("text")
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\ncat "$1"; touch "$1.made"; exit 3\n')
    program.chmod(0o755)
    done = tool.run(program, [str(image)])
    assert (done.returncode, done.stdout) == (3, "text")
    assert not image.with_name("image.made").exists()
