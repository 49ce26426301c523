"""What is asked of Slurm, before it is asked."""

import pytest

from harness.errors import UserError
from harness.nightly.cluster.slurm import _number


def test_what_is_not_said_has_a_default():
    assert _number({"cores": ""}, "cores", 4) == 4
    assert _number({"cores": "16"}, "cores", 4) == 16


@pytest.mark.parametrize("text", ["many", "0", "-1", "1.5", "4G"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(UserError, match=f"LAB_SLURM_NODES={text}"):
        _number({"nodes": text}, "nodes", 1)
