"""Remarks of replies go to their patches, costs to their states."""

from types import SimpleNamespace

from test_review_out import review

from harness.catalogue.model import Kind, Status
from harness.results.model import CaseResult
from harness.review import evidence, remarks
from harness.verdict.judge import Outcome

REPLY = """\
From: R <r@example.org>
Subject: Re: [PATCH {number}/2] {title}
In-Reply-To: <{parent}>

> diff --git a/fs/namei.c b/fs/namei.c
> --- a/fs/namei.c
> +++ b/fs/namei.c
> @@ -10,1 +10,2 @@ static void f(void)
>  one();
> +two();

why?
"""


def test_a_reply_is_told_by_the_subject_it_answers(tmp_path):
    path = tmp_path / "reply.eml"
    path.write_text(REPLY.format(number=9, title="fs: refuse a symlink to its own name", parent="x@y"))
    other = tmp_path / "other.eml"
    other.write_text(REPLY.format(number=1, title="another title", parent="x@y"))
    path.write_text(path.read_text() + "\nAcked-by: R <r@example.org>\n")
    told = remarks.with_replies(review(), [path, other])
    assert [patch.given for patch in told.patches] == [(), (("Acked-by", "R <r@example.org>"),)]
    found = told.remarks
    assert [(each.number, each.author, each.text) for each in found] == [
        (2, "R <r@example.org>", "why?"), (1, "R <r@example.org>", "why?"),
    ]  # fmt: skip
    assert (found[0].file, found[0].line, found[0].removed, found[0].place) == (
        "fs/namei.c", 11, False, "fs/namei.c:11, f()",
    )  # fmt: skip


def cost(case, state, **costs):
    outcome = Outcome(status=Status.PASS, kind=Kind.PASSED, costs=costs)
    return CaseResult(case=case, state=state, outcome=outcome)


def test_costs_of_both_states_stand_side_by_side():
    job = SimpleNamespace(scenario=SimpleNamespace(name="ext4-cost"))
    results = (cost("a", "without", open=10), cost("a", "with", open=11, close=5), cost("b", "without"))
    found = [(each.case, each.name, each.before, each.after) for each in evidence._numbers(job, results)]
    assert found == [("a", "open", 10, 11), ("a", "close", None, 5)]
