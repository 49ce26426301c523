"""The house's rule, read from the imports themselves: they run one way, and each effect has one door.

catalogue, plan and verdict know nothing of processes; kernel, guest and machine do not know each other; only the
runner knows them; nothing below cli knows cli.
"""

import ast
from pathlib import Path

import pytest

HARNESS = Path(__file__).resolve().parents[2] / "harness"
MODULES = sorted(path for path in HARNESS.rglob("*.py"))

FORBIDDEN = {
    "catalogue": ("process", "kernel", "guest", "machine", "results", "history", "runner", "cli", "plan", "verdict"),
    "plan.py": ("process", "kernel", "guest", "machine", "results", "runner", "cli"),
    "verdict": ("process", "kernel", "guest", "machine", "results", "runner", "cli"),
    "kernel": ("guest", "machine", "verdict", "results", "runner", "cli", "plan"),
    "guest": ("kernel", "machine", "verdict", "results", "runner", "cli", "plan"),
    "machine": ("kernel", "guest", "verdict", "results", "runner", "cli", "plan"),
    "results": ("kernel", "guest", "machine", "runner", "cli"),
    "history": ("process", "kernel", "guest", "machine", "runner", "cli", "plan"),
    "nightly": ("cli",),
    "runner": ("cli", "nightly"),
    "dashboard": ("process", "kernel", "guest", "machine", "runner", "cli", "plan"),
    "review": ("cli",),
    "init": ("kernel", "guest", "machine", "runner", "cli", "plan"),
}
ONE_DOOR = {
    "subprocess": {"process.py"},
    "pexpect": {"machine/console.py"},
    "fabric": {"machine/ssh.py", "nightly/cluster/ssh.py"},
    "paramiko": {"machine/ssh.py", "nightly/cluster/ssh.py"},
    "distributed": {
        "nightly/cluster/home.py",
        "nightly/cluster/worker.py",
        "nightly/cluster/reach.py",
        "nightly/cluster/serve.py",
        "nightly/cluster/hosts.py",
        "nightly/cluster/slurm.py",
    },
    "jinja2": {"guest", "results", "init"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def ids(path):
    return str(path.relative_to(HARNESS))


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_imports_run_one_way(path):
    room = path.relative_to(HARNESS).parts[0]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "harness" and len(parts) > 1:
            assert parts[1] not in FORBIDDEN.get(room, ()), f"{room} must not know {name}"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_each_effect_has_one_door(path):
    place = path.relative_to(HARNESS)
    for name in imports(path):
        doors = ONE_DOOR.get(name.split(".")[0])
        if doors is not None:
            assert str(place) in doors or place.parts[0] in doors, f"{name} is imported only in {sorted(doors)}"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_only_the_command_line_exits_or_prints(path):
    if path.relative_to(HARNESS).parts[0] == "cli":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "sys.exit", "exit", "click.echo"), f"line {node.lineno}: {called}"
