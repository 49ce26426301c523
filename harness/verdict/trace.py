"""Which function it was: the frames of a kernel call trace, without those that only report."""

from __future__ import annotations

import re
from collections.abc import Sequence

_RIP = re.compile(r"\s*(?:RIP: 0010:|pc : )(?P<name>[A-Za-z_][\w.]*)\+0x")
_FRAME = re.compile(r"\s+(?:\[<[0-9a-f]+>\]\s+)?(?P<name>[A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+")
_AT = re.compile(
    r"(?:BUG: K\w+: .*? in |WARNING: CPU: .* at \S+ |WARNING: (?:\S+:\d+ )?at )(?P<name>[A-Za-z_][\w.]*)(?:\+0x|$|\s)"
)
_USER = re.compile(r"\s*RIP: 0033:")
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm)(?:\.\w+)*$|\.cold$")

_REPORTERS = re.compile(
    r"(?:_*dump_stack\w*|show_stack|panic|nmi_panic|_*die\w*|oops_\w+|page_fault_oops|kernelmode_fixup_or_oops"
    r"|_*bad_area\w*|do_user_addr_fault|do_kern_addr_fault|exc_\w+|asm_\w+|do_error_trap|do_trap|fixup_bug"
    r"|_*warn\w*|report_bug|handle_bug|kasan_\w+|_*asan_\w+|check_region_inline|print_\w+|end_report|check_panic_on_warn"
    r"|kcsan_\w+|_*tsan_\w+|kmsan_\w+|_*msan_\w+|kfence_\w+|ubsan_\w+|_*ubsan_\w+"
    r"|_*might_(?:resched|sleep|fault)\w*|_*cant_sleep|_*schedule_bug|check_preemption_disabled|debug_smp_processor_id"
    r"|__list_(?:add|del_entry)_valid\w*|refcount_warn_saturate|_*refcount_\w+|debug_print_object|debug_check_\w+|debug_object_\w+"
    r"|lock_(?:acquire|release)|_*lock_acquire|check_(?:prev|prevs|deadlock|noncircular|irq_usage)\w*|validate_chain"
    r"|mark_(?:lock|usage|held_locks)\w*|lockdep_\w+|debug_check_no_locks_held|register_lock_class"
    r"|_*(?:raw_)?(?:spin|read|write)_(?:lock|unlock|trylock)\w*|_*mutex_(?:lock|unlock)\w*|down_(?:read|write)\w*"
    r"|rcu_(?:check|sched_clock|lock)\w*|rcu_dump_cpu_stacks|print_cpu_stall\w*|check_cpu_stall|sched_tick|update_process_times"
    r"|tick_\w+|_*hrtimer_\w+|_*sysvec_\w+|local_apic_timer_interrupt|smp_apic_timer_interrupt|watchdog_\w+"
    r"|_*schedule\w*|preempt_schedule\w*|_*cond_resched|__switch_to\w*|context_switch|io_schedule\w*|schedule_timeout\w*"
    r"|_*nmi_\w+|trigger_\w*backtrace|arch_trigger\w*|memcpy\w*|memset\w*|memmove\w*|_*copy_(?:to|from)_user\w*"
    r"|instrument_\w+|_*kmalloc\w*|kmem_cache_\w+|_*slab_\w+|object_err|check_(?:slab|object|bytes_and_report)"
    r"|assertfail|assfail|ret_from_fork\w*|entry_SYSCALL\w*|do_syscall_\w+|x64_sys_call|_*x64_sys_\w+)$"
)  # fmt: skip
"""Functions that stand in a trace because they report, wait or dispatch: never the culprit by name."""


def _plain(name: str) -> str:
    return _SUFFIX.sub("", name)


def frames(lines: Sequence[str]) -> tuple[str, ...]:
    """The kernel's functions of the first call trace, innermost first; guesses (``?``) and reporters left out."""
    names: list[str] = []
    begun = False
    for line in lines:
        if re.match(r"\s*(?:Call [Tt]race|[Bb]acktrace)\b.*:", line):
            if names:
                break
            begun = True
        elif begun and _USER.match(line):
            break
        elif begun and (found := _FRAME.match(line)):
            name = _plain(found.group("name"))
            if not _REPORTERS.match(name):
                names.append(name)
    return tuple(names)


def where(lines: Sequence[str]) -> str | None:
    """The function a report is about: the faulting one if that is no reporter, else the innermost of the trace."""
    rip = _first(_RIP, lines)
    at = _first(_AT, lines)
    traced = frames(lines)
    for name in (at, rip, *traced[:1]):
        if name is not None and not _REPORTERS.match(name):
            return name
    return at or rip


def _first(pattern: re.Pattern[str], lines: Sequence[str]) -> str | None:
    found = next((match for line in lines if (match := pattern.match(line))), None)
    return _plain(found.group("name")) if found else None
