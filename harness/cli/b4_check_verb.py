"""lab b4-check: what the lab knows of one mail, for ``b4 review``."""

from __future__ import annotations

import sys

import click

from harness.cli import options
from harness.cli.review_verb import ReviewScreen
from harness.errors import UserError


@click.command("b4-check")
@click.option("--run", "patterns", multiple=True, metavar="SCENARIO[/CASE]", help="Cases, when it is reviewed now.")
@click.option("--only", metavar="CHECK,...", help="Some of the checks of `lab series check`, when it is reviewed now.")
@click.option("--base", metavar="NAME", help="The base, when it is reviewed now.")
def command(patterns: tuple[str, ...], only: str | None, base: str | None) -> None:
    """Answer b4's question: one mail on standard input, a JSON array of results on standard output.

    \b
    git config b4.review-perpatch-check-cmd 'lab b4-check'
    git config b4.review-series-check-cmd 'lab b4-check'

    A patch of a series is answered from the newest `lab review` that has it; a patch that is a series of its own is
    reviewed now, if it was not before.
    """
    from harness.review import b4
    from harness.review.posting import parse

    data = sys.stdin.buffer.read()
    if not data.strip():
        raise UserError("there is no mail on standard input", hint="b4 puts it there; by hand: lab b4-check <patch.eml")
    mail = parse(data)
    place = options.place()
    reviews = place.workspace.root / "results" / "reviews"
    found = b4.find(reviews, mail)
    if found is None and mail.diff and mail.of == 1:
        from harness.cli.series_verb import chosen
        from harness.review import desk
        from harness.review.evidence import Ask, gather
        from harness.review.out import publish
        from harness.review.posting import assemble

        laid = desk.lay_out(place, assemble([mail]), base=base)
        ask = Ask(("lab", *sys.argv[1:]), patterns, chosen(only))
        with ReviewScreen(quiet=True) as screen:
            review = gather(laid, ask, options.wishes(()), screen)
        found = review, publish(reviews, review)
    click.echo(b4.encode(b4.answers(*found, mail) if found else b4.not_reviewed(mail)), nl=False)
