"""lab cache prune: what was not used for long goes, when somebody says so; what is in use never does."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cache import Cache, lock
from harness.cli.cache_verb import command
from harness.errors import UserError
from harness.prune import drop, due

DAY = 86_400


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Kernels not used for 0, 1, 2 and 20 days; a venv and a compiler cache as old as time."""
    monkeypatch.setenv("LAB_CACHE", str(tmp_path))
    for kind, name, days in (
        *(("kernels", str(age), age) for age in (0, 1, 2, 20)),
        ("venv", "v", 99),
        ("ccache", "a", 99),
    ):
        entry = tmp_path / kind / name
        entry.mkdir(parents=True)
        (entry / "content").write_bytes(bytes(1 << 20))
        os.utime(entry, (time.time() - days * DAY,) * 2)
    return Cache(tmp_path)


def left(cache):
    return sorted(path.name for path in (cache.root / "kernels").glob("[0-9]*"))


def lab_at_work(cache):
    """Another lab, which used kernel 20 just now."""
    program = (
        "import sys; from pathlib import Path; from harness.cache import Cache\n"
        "cache = Cache(Path(sys.argv[1]))\n"
        "cache.get('kernels', '20')\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    tree = Path(__file__).parents[2]
    lab = subprocess.Popen(
        [sys.executable, "-c", program, str(cache.root)], cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert lab.stdout.readline() == b"ready\n"
    return lab


def test_what_was_not_used_for_so_long_may_go(cache):
    assert [entry.path.name for entry in due(cache, 14)] == ["20"]
    assert [entry.path.name for entry in due(cache, 1.5)] == ["2", "20"]


@pytest.mark.parametrize("days", [0, -1])
def test_no_age_takes_what_was_used_just_now(cache, days):
    assert [entry.path.name for entry in due(cache, days)] == ["1", "2", "20"]


def test_a_negative_age_is_refused(cache):
    answer = CliRunner().invoke(command, ["prune", "--days", "-1", "--yes"])
    assert answer.exit_code == 2
    assert "-1" in answer.output
    assert left(cache) == ["0", "1", "2", "20"]


def test_nothing_goes_that_was_used_since_a_lab_at_work_began(cache):
    long_ago = time.time() - 1.5 * DAY
    lab = lab_at_work(cache)
    present = next((cache.root / "present").iterdir())
    os.utime(present, (long_ago,) * 2)  # it works for a day and a half
    assert [entry.path.name for entry in due(cache, 0)] == ["2"]
    lab.kill()
    lab.wait(20)
    assert [entry.path.name for entry in due(cache, 0)] == ["1", "2"]
    assert not present.exists()


def test_what_a_lab_holds_or_used_meanwhile_stays(cache):
    entries = due(cache, 0.5)
    cache.get("kernels", "1")
    with lock(cache.root / "kernels" / ".2.lock"):
        assert [entry.path.name for entry in drop(entries)] == ["20"]
    assert left(cache) == ["0", "1", "2"]


def test_it_shows_what_goes_and_asks_nobody_who_is_not_there(cache):
    answer = CliRunner().invoke(command, ["prune"])
    assert "1 entry" in answer.output
    assert isinstance(answer.exception, UserError)
    assert "--yes" in answer.exception.hint
    assert left(cache) == ["0", "1", "2", "20"]


def test_it_drops_what_it_was_told_to(cache):
    answer = CliRunner().invoke(command, ["prune", "--yes"])
    assert (answer.exit_code, left(cache)) == (0, ["0", "1", "2"])
    assert "freed 1 MiB" in answer.output
    assert (cache.root / "venv" / "v" / "content").exists()
    assert (cache.root / "ccache" / "a" / "content").exists()
    assert "nothing" in CliRunner().invoke(command, ["prune", "--yes"]).output


def test_a_kind_that_is_not_there_is_said(cache):
    with pytest.raises(UserError, match="no kind 'kernel'") as raised:
        due(cache, 14, ["kernel"])
    assert raised.value.hint == "did you mean 'kernels'?"
