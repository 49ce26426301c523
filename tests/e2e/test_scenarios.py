"""What the lab is for: the series that ship with it, red without, green with; and its own bad guests."""

import json

import pytest

pytestmark = [pytest.mark.vm, pytest.mark.build]

SCENARIOS = ["ext4-unlinked", "ext4-rmdir"]


def outcomes(result, state):
    return {case["case"]: case["outcome"] for case in result["cases"] if case["state"] == state}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_red_without_the_series_and_green_with_it(lab, scenario):
    result = lab.answer(scenario)
    without, with_ = outcomes(result, "without"), outcomes(result, "with")
    assert set(without) == set(with_)
    assert {outcome["status"] for outcome in with_.values()} == {"PASS"}
    red = [outcome for outcome in without.values() if outcome["status"] == "FAIL"]
    assert len(red) >= len(without) - 3, "all but the cases of regression are red without the series"
    assert {outcome["kind"] for outcome in red} == {"assertion"}


def test_a_plain_base_does_not_know_the_calls(lab):
    result = lab.answer("ext4-unlinked/orphan_comes_back", "--at", "base")
    (outcome,) = outcomes(result, "base").values()
    assert (outcome["status"], outcome["reason"]) == ("FAIL", "ENOSYS")


def test_phases_and_cuts_are_what_they_say(lab):
    result = lab.answer("ext4-phases")
    assert len(result["cases"]) == result["planned"]
    atomic = outcomes(result, "base")["rename_after_fsync_is_atomic"]
    assert atomic["reason"].endswith(" cuts")
    assert int(atomic["reason"].split()[0]) >= 5


def test_one_cut_can_be_run_alone(lab):
    result = lab.answer("ext4-phases/rename_after_fsync_is_atomic@3")
    (outcome,) = outcomes(result, "base").values()
    assert outcome["reason"] == "1 cuts"
    assert lab.run("run", "ext4-phases/rename_after_fsync_is_atomic@9999").returncode == 2


def test_every_bad_guest_is_judged_for_what_it_is(lab):
    result = lab.answer("selftest")
    assert len(result["cases"]) == result["planned"]
    assert {case["outcome"]["kind"] for case in result["cases"]} >= {
        "passed", "assertion", "skipped", "no-tests", "crashed", "timeout", "hang", "panic", "oops", "splat",
    }  # fmt: skip


@pytest.mark.parametrize("scenario", [*SCENARIOS, "selftest"])
def test_cold_and_forked_guests_give_the_same_verdicts(lab, scenario):
    def verdicts(*how):
        cases = lab.answer(scenario, *how)["cases"]
        return {(case["state"], case["case"]): (case["outcome"]["kind"], case["outcome"]["reason"]) for case in cases}

    forked, cold = verdicts(), verdicts("--cold")
    # A hang and a panic may be told by another line of the same report.
    same = {key: value for key, value in forked.items() if value[0] not in ("hang", "panic")}
    assert {key: cold[key] for key in same} == same
    assert {key: value[0] for key, value in cold.items()} == {key: value[0] for key, value in forked.items()}


def test_a_second_run_builds_nothing(lab):
    lab.answer("ext4-unlinked/orphan_comes_back")
    done = lab.run("run", "ext4-unlinked/orphan_comes_back")
    assert done.returncode == 0
    assert done.stdout.count("cached") == 2


def test_a_run_folder_explains_itself(lab):
    lab.answer("ext4-unlinked/orphan_comes_back")
    folder = lab.runs()[-1]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [kernel["state"] for kernel in manifest["kernels"]] == ["without", "with"]
    assert manifest["accel"]["reason"]
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"manifest.json", "result.json", "reproduce.sh", "kernels/with.config", "kernels/without.config"} <= names
    kept = "cases/with/orphan_comes_back"
    assert {f"{kept}/console.log", f"{kept}/ktap.log", f"{kept}/record.json", f"{kept}/outcome.json"} <= names
    assert not [name for name in names if name.endswith("disk.img")], "only what went wrong keeps its disk"


def test_a_run_can_be_judged_again(lab):
    lab.answer("ext4-unlinked/orphan_comes_back")
    again = lab.run("results", "judge", "last")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "every case is judged as it was" in again.stdout


def test_two_labs_at_once_do_not_meet(lab):
    labs = [lab.start("run", "ext4-unlinked") for _ in range(2)]
    ends = [(each.communicate(timeout=300)[0], each.returncode) for each in labs]
    assert [code for _, code in ends] == [0, 0], ends
