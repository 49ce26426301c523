"""A rate says how sure it is."""

import pytest

from harness.verdict.rate import Rate


# Wilson's interval to three digits, from the table in Brown, Cai, DasGupta 2001 and by hand from the formula.
@pytest.mark.parametrize(
    ("failed", "runs", "low", "high"),
    [(0, 10, 0.0, 0.278), (1, 10, 0.018, 0.404), (5, 10, 0.237, 0.763), (10, 10, 0.722, 1.0), (0, 0, 0.0, 1.0)],
)
def test_interval(failed, runs, low, high):
    assert Rate(failed, runs).interval == pytest.approx((low, high), abs=0.001)


def test_words():
    assert Rate(2, 9).words == "2 of 9 failed (6% to 55%)"
