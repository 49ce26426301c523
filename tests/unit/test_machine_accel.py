"""Which accelerator, from what a probe did and what is remembered."""

import pytest

from harness.cache import Cache
from harness.errors import InfraError, UserError
from harness.machine import accel
from harness.machine.command import Accelerator
from harness.machine.outcome import BootError


@pytest.fixture
def kvm(tmp_path, monkeypatch):
    """A device that opens."""
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accel, "KVM", device)
    return device


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def never(_accelerator):
    raise AssertionError("no guest should be started")


@pytest.mark.parametrize("error", [BootError("the guest never was ready: silence"), InfraError("QEMU exited with 134")])
def test_a_device_that_opens_is_not_enough(kvm, cache, error):
    def boots(_accelerator):
        raise error

    chosen = accel.choose(None, boots, cache)
    assert chosen.accelerator is Accelerator.TCG
    assert chosen.reason == f"KVM: the device opens, but {error.message}"


def test_a_guest_that_was_ready_is(kvm, cache):
    chosen = accel.choose(None, lambda _: 0.4, cache)
    assert (chosen.accelerator, chosen.reason) == (Accelerator.KVM, "a probe guest was ready in 0.4 s")


def test_the_answer_is_remembered(kvm, cache):
    first = accel.choose(None, lambda _: 0.4, cache)
    assert accel.choose(None, never, cache) == first


def test_a_device_that_went_away_is_noticed(kvm, cache):
    accel.choose(None, lambda _: 0.4, cache)
    kvm.unlink()
    chosen = accel.choose(None, never, cache)
    assert (chosen.accelerator, chosen.reason) == (Accelerator.TCG, "KVM: there is no /dev/kvm")


def test_a_memory_that_is_garbage_is_asked_anew(kvm, cache):
    accel.choose(None, lambda _: 0.4, cache)
    (cache.root / "hosts" / f"{accel.host_key()}.json").write_text("{")
    assert accel.choose(None, lambda _: 0.5, cache).reason.endswith("0.5 s")


def test_what_is_asked_for_is_taken(kvm, cache):
    assert accel.choose("kvm", never, cache).accelerator is Accelerator.KVM
    with pytest.raises(UserError):
        accel.choose("hvf", never, cache)


def test_the_counters_rate_is_steady():
    one, two = accel.tsc_khz.__wrapped__(), accel.tsc_khz.__wrapped__()
    assert one == pytest.approx(two, rel=1e-3)
