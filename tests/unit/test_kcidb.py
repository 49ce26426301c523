"""What is submitted to KCIDB: kcidb-io, which is not ours, says whether it is valid."""

import hashlib
import json

import kcidb_io
import pytest

from harness.catalogue.model import Expectation, Status
from harness.results import kcidb
from harness.results.model import CaseResult, Kernel, Manifest, RunResult, RunStatus
from harness.verdict.judge import CaseRecord, Ended, judge

RED = "TAP version 13\n1..1\n# a.c:1:alias:link(): EBADF (Bad file), expected success\nnot ok 1 unlinked.alias\n"
GREEN = "TAP version 13\n1..1\nok 1 unlinked.alias\n"
WARN = "------------[ cut here ]------------\nWARNING: CPU: 0 PID: 7 at fs/namei.c:1 vfs_link+0x1/0x2\n\0\x1b[31m\n"


def case(name, state, **given):
    record = CaseRecord(**{"case": name, "state": state, "ended": Ended.DONE, "exit": 0, "ktap": GREEN, **given})
    expected = Expectation(status=Status.PASS if state == "with" else Status.FAIL)
    return CaseResult(case=name, state=state, outcome=judge(record), expected=expected, met=True, folder="f")


def ran(*cases, scenario="ext4-unlinked"):
    kernels = (
        Kernel(state="without", key="aa01", label="6.12.1 + core", release="6.12.1", source="0" * 40, stack=("core",)),
        Kernel(state="with", key="bb02", label="6.12.1 + core + a", source="0" * 40, stack=("core", "a")),
    )
    manifest = Manifest(
        scenario=scenario, argv=("lab",), states=("without", "with"), cases=("alias",), created="2026-11-22T15:17:33Z",
        kernels=kernels,
    )  # fmt: skip
    result = RunResult(
        status=RunStatus.DONE, scenario=scenario, started="2026-11-22T15:17:33Z", finished="2026-11-22T15:17:34Z",
        duration=1, planned=len(cases), cases=cases,
    )  # fmt: skip
    return kcidb.Ran(f"20261122T151733Z-{scenario}", manifest, result)


def valid(document):
    data = json.loads(document.json())
    assert kcidb_io.schema.V5_3.is_compatible_exactly(data)
    kcidb_io.schema.V5_3.validate(data)
    return data


def test_a_run_is_a_valid_submission():
    data = valid(kcidb.document([ran(case("alias", "without", exit=1, ktap=RED), case("alias", "with"))]))
    assert [(test["status"], test["misc"]["expected"]) for test in data["tests"]] == [
        ("FAIL", "FAIL"),
        ("PASS", "PASS"),
    ]
    assert {test["path"] for test in data["tests"]} == {"ext4-unlinked.alias"}
    builds = {build["id"]: build for build in data["builds"]}
    checkouts = {checkout["id"] for checkout in data["checkouts"]}
    assert all(builds[test["build_id"]]["checkout_id"] in checkouts for test in data["tests"])
    assert data["tests"][0]["log_excerpt"].startswith("a.c:1: link(): EBADF")


def test_what_a_kernel_printed_cannot_make_it_invalid():
    data = valid(kcidb.document([ran(case("al/ias: \0 x", "with", console=WARN * 400), scenario="an odd.name")]))
    assert len(data["tests"][0]["log_excerpt"]) <= kcidb.EXCERPT
    assert data["tests"][0]["path"] == "an_odd_name.al_ias____x"


def test_two_runs_on_one_kernel_share_its_build():
    runs = [ran(case("alias", "with")), ran(case("alias", "with"), scenario="xfs-unlinked")]
    data = valid(kcidb.document(runs))
    assert len(data["builds"]) == len(data["checkouts"]) == 2
    assert len(data["tests"]) == 2


def test_what_no_run_can_tell_is_added():
    checkout = kcidb.Checkout(id="lab:x", origin="lab", valid=False, log_excerpt="does not apply")
    build = kcidb.Build(id="lab:y", checkout_id="lab:x", origin="lab", status=Status.FAIL)
    data = valid(kcidb.document([], extra=kcidb.Document(checkouts=(checkout,), builds=(build,))))
    assert data["builds"][0]["status"] == "FAIL"
    assert data["checkouts"][0]["valid"] is False


def test_the_hash_of_a_patchset_is_that_of_the_schema():
    lines = "".join(hashlib.sha256(patch).hexdigest() + "\n" for patch in (b"one", b"two"))
    assert kcidb.patchset_hash([b"one", b"two"]) == hashlib.sha256(lines.encode()).hexdigest()
    assert kcidb.patchset_hash([]) == ""


def test_an_origin_that_the_schema_does_not_know():
    with pytest.raises(ValueError, match="My CI"):
        kcidb.document([], origin="My CI")
