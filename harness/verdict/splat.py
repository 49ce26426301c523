"""What a kernel complains about on its console: text in, splats out.

    for splat in scan(console_text):
        splat.title, splat.kind, splat.line, splat.excerpt, splat.fingerprint

``ROWS`` is the whole knowledge, one complaint a row, the most telling first. A report opens at a line that a row knows
(or at ``cut here``), takes in what follows up to its end, and is named by the first row of the table that matches any
of its first lines: a WARN whose text is "refcount_t: underflow" is a refcount bug. Titles and fingerprints carry no
address, pid, cpu, time or offset, so that the same bug has the same name in the next run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from harness.verdict.trace import frames, where


class SplatKind(StrEnum):
    """The part of the kernel that complains."""

    PANIC = "panic"
    OOPS = "oops"
    MEMORY = "memory"
    RACE = "race"
    UNDEFINED = "undefined"
    LEAK = "leak"
    LOCKING = "locking"
    CONTEXT = "context"
    STALL = "stall"
    FILESYSTEM = "filesystem"
    WARNING = "warning"
    UNKNOWN = "unknown"


class Splat(msgspec.Struct, frozen=True, kw_only=True):
    """One complaint. ``line`` counts from 1 in the scanned text; ``first`` is that line without its time stamp.

    ``count`` says how often the same complaint was seen; ``excerpt`` is of the first time.
    """

    title: str
    kind: SplatKind
    line: int
    first: str
    excerpt: tuple[str, ...]
    fingerprint: str
    count: int = 1


class Span(StrEnum):
    """Where a report ends."""

    LINE = "line"  # with its line
    TRACE = "trace"  # with its call trace, or with `end trace` where there is one
    RULED = "ruled"  # with a ruler of equal signs
    END = "end"  # with `end trace`; nothing else closes it but another report


class Row(NamedTuple):
    """A complaint: the line it is known by, its name ({group}: of the pattern, {frame}: the function), why it counts.

    ``detail``: the line may also stand inside a report that another row opened, and then says more about it.
    """

    pattern: re.Pattern[str]
    kind: SplatKind
    span: Span
    title: str
    why: str
    detail: bool = False


def _row(pattern: str, kind: SplatKind, span: Span, title: str, why: str, *, detail: bool = False) -> Row:
    return Row(re.compile(pattern), kind, span, title, why, detail)


_K, _S = SplatKind, Span

ROWS: tuple[Row, ...] = (
    # The kernel gave up.
    _row(
        r"Kernel panic - not syncing: (?P<what>.*)", _K.PANIC, _S.END, "kernel panic: {what}",
        "the machine is gone, whatever the case had printed",
    ),
    _row(r"PANIC: double fault", _K.OOPS, _S.END, "PANIC: double fault in {frame}", "a fault inside a fault handler"),
    # Memory errors that a sanitizer names better than the fault they end in.
    _row(
        r"BUG: KASAN: (?P<what>[\w-]+)(?: in \S+)?", _K.MEMORY, _S.RULED, "KASAN: {what} {access}in {frame}",
        "memory was used that was not the user's",
    ),
    _row(
        r"KASAN: (?P<what>null-ptr-deref|maybe wild-memory-access|probably user-memory-access|\S+) in range",
        _K.OOPS, _S.END, "KASAN: {what} in {frame}", "KASAN's reading of the fault before it", detail=True,
    ),
    _row(
        r"BUG: KFENCE: (?P<what>[\w-]+(?: (?:read|write|corruption|free))?) in", _K.MEMORY, _S.RULED,
        "KFENCE: {what} in {frame}", "sampled memory error",
    ),
    _row(
        r"BUG: KMSAN: (?P<what>[\w-]+)", _K.MEMORY, _S.RULED, "KMSAN: {what} in {frame}",
        "a decision or a copy was made from memory nobody wrote",
    ),
    _row(
        r"BUG: KCSAN: (?P<what>.*? in [^+\s]+(?: / [^+\s]+)?)", _K.RACE, _S.RULED, "KCSAN: {what}",
        "two cpus touched one place, one of them wrote",
    ),
    _row(
        r"UBSAN: (?P<what>[\w-]+)(?: in|$)", _K.UNDEFINED, _S.END, "UBSAN: {what} in {frame}",
        "undefined behaviour: the compiler may do anything", detail=True,
    ),
    _row(
        r"(?:kmemleak: )?(?P<what>\d+ new suspected memory leaks)", _K.LEAK, _S.LINE, "memory leak",
        "kmemleak found objects nobody points to",
    ),
    _row(
        r"unreferenced object 0x[0-9a-f]+ \(size (?P<size>\d+)\)", _K.LEAK, _S.TRACE, "memory leak in {frame}",
        "kmemleak's record of one object",
    ),
    # What a WARN or BUG says in the line before it.
    _row(
        r"refcount_t: (?P<what>[^.;]*)", _K.MEMORY, _S.END, "refcount bug in {frame}",
        "an object is freed too early or never", detail=True,
    ),
    _row(
        r"list_(?P<what>add|del) corruption", _K.MEMORY, _S.END, "list_{what} corruption in {frame}",
        "a list node was freed, doubled or overwritten", detail=True,
    ),
    _row(
        r"VFS: Busy inodes after unmount of \S+ \((?P<what>\S+)\)", _K.FILESYSTEM, _S.END,
        "VFS: Busy inodes after unmount ({what})", "an inode reference leaked", detail=True,
    ),
    _row(
        r"BUG: Dentry .* still in use .*\[unmount of (?P<what>\S+)", _K.FILESYSTEM, _S.END,
        "BUG: Dentry still in use ({what})", "a dentry reference leaked", detail=True,
    ),
    _row(r"ODEBUG: (?P<what>\w+)", _K.MEMORY, _S.END, "ODEBUG bug in {frame}", "a live object was freed", detail=True),
    _row(
        r"Assertion failure in (?P<what>\w+)\(\)", _K.FILESYSTEM, _S.END, "jbd2/ext4 assertion failure in {what}",
        "ext4's or jbd2's own invariant does not hold", detail=True,
    ),
    _row(
        r"BTRFS: Transaction aborted \(error (?P<what>-?\d+)\)", _K.FILESYSTEM, _S.END,
        "BTRFS: Transaction aborted ({what}) in {frame}", "btrfs gave up on a transaction", detail=True,
    ),
    # Oopses.
    _row(
        r"BUG: kernel NULL pointer dereference", _K.OOPS, _S.END,
        "BUG: kernel NULL pointer dereference in {frame}", "a null pointer was followed",
    ),
    _row(
        r"BUG: unable to handle (?:page fault|kernel \w.*?)(?: for address|$| at)", _K.OOPS, _S.END,
        "BUG: unable to handle page fault in {frame}", "an address that is not mapped was used",
    ),
    _row(
        r"Unable to handle kernel (?P<what>NULL pointer dereference|paging request|.*?) at", _K.OOPS, _S.END,
        "BUG: unable to handle kernel {what} in {frame}", "the same on other architectures",
    ),
    _row(
        r"BUG: (?P<what>.*) stack guard page was hit", _K.OOPS, _S.END, "BUG: stack guard page was hit in {frame}",
        "the kernel stack overflowed",
    ),
    _row(
        r"(?:Oops: )?(?:segment-related )?general protection fault(?:, .*?)?: [0-9a-f]{4} \[#\d+\]", _K.OOPS, _S.END,
        "general protection fault in {frame}", "a wild pointer or a bad segment", detail=True,
    ),
    _row(
        r"[kK]ernel BUG at (?P<file>[\w./+-]+)", _K.OOPS, _S.END, "kernel BUG in {frame}",
        "the kernel's own check says it cannot go on", detail=True,
    ),
    _row(
        r"(?:Oops|Internal error): (?P<what>.*?): [0-9a-f]{4,16} \[#\d+\]", _K.OOPS, _S.END, "Oops: {what} in {frame}",
        "any other fault in kernel mode", detail=True,
    ),
    # Locks and contexts.
    _row(
        r"WARNING: possible (?:circular locking dependency|recursive locking|irq lock inversion dependency) detected"
        r"|WARNING: \S+-safe -> \S+-unsafe lock order detected", _K.LOCKING, _S.TRACE,
        "possible deadlock in {frame}", "lockdep: an order of locks that can wait for itself",
    ),
    _row(
        r"WARNING: inconsistent lock state", _K.LOCKING, _S.TRACE, "inconsistent lock state in {frame}",
        "lockdep: a lock is taken in an interrupt and with interrupts on",
    ),
    _row(
        r"WARNING: suspicious RCU usage", _K.LOCKING, _S.TRACE, "suspicious RCU usage in {frame}",
        "a pointer was read without the lock that keeps it alive",
    ),
    _row(
        r"WARNING: (?P<what>bad unlock balance|bad contention|held lock freed|lock held when returning to user space"
        r"|Nested lock was not taken|chain_key collision)", _K.LOCKING, _S.TRACE, "{what} in {frame}",
        "lockdep: a lock is not where its users think",
    ),
    _row(
        r"WARNING: \S+/\d+ still has locks held", _K.LOCKING, _S.TRACE, "still has locks held in {frame}",
        "a task sleeps or leaves with a lock",
    ),
    _row(
        r"\[ BUG: (?P<what>.*?)[!\s]* \]", _K.LOCKING, _S.TRACE, "BUG: {what} in {frame}",
        "lockdep: a sleeping lock where none may be taken",
    ),
    _row(
        r"INFO: trying to register non-static key", _K.LOCKING, _S.TRACE,
        "INFO: trying to register non-static key in {frame}", "a lock was used before it was initialised",
    ),
    _row(
        r"BUG: sleeping function called from invalid context", _K.CONTEXT, _S.TRACE,
        "BUG: sleeping function called from invalid context in {frame}", "it may sleep where nobody may",
    ),
    _row(
        r"BUG: scheduling while atomic", _K.CONTEXT, _S.TRACE, "BUG: scheduling while atomic in {frame}",
        "a lock or a preempt count leaked",
    ),
    _row(
        r"BUG: using (?P<what>\w+)\(?\)? in preemptible", _K.CONTEXT, _S.TRACE,
        "BUG: using {what} in preemptible code in {frame}", "per-cpu data without staying on the cpu",
    ),
    # Progress.
    _row(
        r"(?:\w+: )?INFO: (?:\w+ )?(?:self-)?detected (?:expedited )?stalls?\b", _K.STALL, _S.TRACE,
        "INFO: rcu detected stall in {frame}", "a cpu does not come back",
    ),
    _row(
        r"(?:watchdog: )?BUG: soft lockup - CPU", _K.STALL, _S.TRACE, "BUG: soft lockup in {frame}",
        "a cpu runs in the kernel without ever scheduling",
    ),
    _row(
        r"(?:\w+ )?(?:watchdog|NMI watchdog): Watchdog detected hard LOCKUP", _K.STALL, _S.TRACE,
        "hard LOCKUP in {frame}", "a cpu runs with interrupts off",
    ),
    _row(
        r"BUG: workqueue lockup", _K.STALL, _S.LINE, "BUG: workqueue lockup", "queued work does not run",
    ),
    _row(
        r"INFO: task \S.*?:\d+ blocked for more than", _K.STALL, _S.TRACE, "INFO: task hung in {frame}",
        "a task waits, uninterruptible, for something that does not come",
    ),
    # Filesystems that find themselves wrong.
    _row(
        r"EXT4-fs \(\S+\): Inode \d+ .*: inode tracked as orphan", _K.FILESYSTEM, _S.TRACE,
        "EXT4-fs: inode tracked as orphan", "an inode was freed while on the orphan list: the list is corrupt now",
    ),
    _row(
        r"EXT4-fs \(\S+\): sb orphan head is", _K.FILESYSTEM, _S.LINE, "EXT4-fs: orphans left at unmount",
        "an inode was never taken off the orphan list",
    ),
    _row(
        r"EXT4-fs \(\S+\): .*i_reserved_data_blocks \(\d+\) not cleared", _K.FILESYSTEM, _S.LINE,
        "EXT4-fs: i_reserved_data_blocks not cleared", "reserved blocks leaked",
    ),
    _row(
        r"EXT4-fs \(\S+\): .*(?:should not happen|Data will be lost)", _K.FILESYSTEM, _S.LINE,
        "EXT4-fs: data will be lost", "delayed allocation failed",
    ),
    _row(
        r"EXT4-fs error \(device \S+\)(?: in|:) (?P<what>\w+)", _K.FILESYSTEM, _S.LINE, "EXT4-fs error in {what}",
        "ext4 found its own structures wrong",
    ),
    _row(
        r"Aborting journal on device", _K.FILESYSTEM, _S.LINE, "JBD2: journal aborted",
        "the journal is off: what follows is not durable",
    ),
    _row(
        r"JBD2: (?P<what>Spotted dirty metadata buffer|unexpected failure)", _K.FILESYSTEM, _S.LINE, "JBD2: {what}",
        "a buffer went past the journal",
    ),
    _row(
        r"XFS(?: \(\S+\))?: Assertion failed: (?P<what>.*?), file:", _K.FILESYSTEM, _S.LINE,
        "XFS: Assertion failed: {what}", "XFS's own invariant does not hold",
    ),
    _row(
        r"XFS(?: \(\S+\))?: (?P<what>Internal error|Metadata (?:corruption|CRC error)|Corruption detected"
        r"|Corruption of in-memory data|Corruption of on-disk metadata|Metadata I/O Error(?! \(0x4\))|Log I/O Error)",
        _K.FILESYSTEM, _S.LINE,
        "XFS: {what}", "XFS found its structures wrong, in memory or on the disk",
    ),
    _row(
        r"BTRFS (?P<what>emergency|alert|critical|error)(?: \(device [^)]*\))?: (?P<text>[^\d:]*)",
        _K.FILESYSTEM, _S.LINE, "BTRFS {what}: {text}", "btrfs's own words for what must not be",
    ),
    _row(
        r"BTRFS: error \(device [^)]*\) in (?P<what>\w+)", _K.FILESYSTEM, _S.LINE, "BTRFS: error in {what}",
        "btrfs went read-only",
    ),
    _row(
        r"(?i:F2FS-fs \(\S+\): (?=.*\b(?:inconsistent|inconsistency|corrupt|run fsck|mismatch|invalid blkaddr))"
        r"(?P<what>[^,]*))",
        _K.FILESYSTEM, _S.LINE, "F2FS-fs: {what}", "f2fs found its structures wrong",
    ),
    # The rest of what begins with BUG or is a WARN.
    _row(
        r"BUG (?P<what>[\w:/.<>-]+) \((?:Not t|T)ainted.*?\): (?P<text>[\w ]+)", _K.MEMORY, _S.TRACE,
        "slab {what}: {text}", "SLUB: a red zone, a poison or a freelist was overwritten",
    ),
    _row(
        # Commit 28ea295f941e (in v6.19-rc1) turned the line round: file and function first, then CPU#1: task/77.
        r"WARNING: (?:CPU: \d+ PID: \d+ at |(?:\S+:\d+ )?at \S+, CPU#\d+: )", _K.WARNING, _S.END,
        "WARNING in {frame}", "a WARN_ON: something that cannot happen", detail=True,
    ),
    _row(
        r"(?:[\w-]+: )?BUG: (?P<what>.*)", _K.WARNING, _S.TRACE, "BUG: {what}",
        "the kernel calls it a bug, in words this table does not know",
    ),
)  # fmt: skip

_PREFIX = re.compile(
    r"^(?:<\d+>)?"  # the level, as in /dev/kmsg
    r"(?:\[\s*\d+\.\d+\]\s?)?"  # CONFIG_PRINTK_TIME
    r"(?:\[\s*[TC]\d+\]\s?)?"  # CONFIG_PRINTK_CALLER
)
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")
_CUT = re.compile(r"-{4,}\[ cut here \]-{4,}")
_END = re.compile(r"---\[ end (?:trace|Kernel panic)")
_RULER = re.compile(r"={20,}$")
_TRACE_HEAD = re.compile(r"\s*(?:Call [Tt]race|backtrace(?: \(crc \w+\))?):")
_TRACE_BODY = re.compile(r"\s*(?:\[<|\?? ?[\w.]+\+0x|</?\w+>|[A-Z][A-Z0-9]{1,3}: |Code: )")
_TAINT = re.compile(r"Tainted: (?P<flags>[A-Z ]+)")
TAINTS = {"W": "a WARN", "D": "an oops", "B": "a bad page", "L": "a soft lockup", "M": "a machine check"}
"""Taint letters that only a complaint sets; one without a report means that the report was missed."""

LONGEST_LINE = 1024
"""Characters of a line that are looked at: printk itself writes no longer ones."""
UNTRACED = 100
"""Lines after which a call trace does not come any more (ext4 dumps an inode before it)."""
LONGEST = 300
"""Lines of a report that are kept."""
NAMED_WITHIN = 40
"""First lines of a report in which a row may name it: later ones belong to what it caused."""


def strip(line: str) -> str:
    """A console line without carriage return, escape sequences, level, time stamp and caller."""
    return _PREFIX.sub("", _ESCAPE.sub("", line[:LONGEST_LINE].strip("\r\n")))


def match(line: str) -> Row | None:
    """The row that knows this (stripped) line, or None."""
    if line[:1].isspace():
        return None
    return next((row for row in ROWS if row.pattern.match(line)), None)


class _Report:
    """A complaint that is being read."""

    def __init__(self, line: int, row: Row | None, lines: Sequence[str]) -> None:
        self.line = line
        self.rows = [(row, lines[-1])] if row else []
        self.lines = list(lines)
        self.traced = False

    @property
    def span(self) -> Span:
        return self.rows[0][0].span if self.rows else Span.END

    @property
    def announced(self) -> bool:
        """Whether this is one line so far that a BUG() follows (jbd2's assertions print first, then die)."""
        return len(self.lines) == 1 and self.span is Span.END and bool(self.rows)

    def takes(self, row: Row) -> bool:
        """Whether a line known to ``row`` says more about this report instead of beginning the next."""
        near = len(self.lines) <= NAMED_WITHIN
        return near and (not self.rows or (row.detail and all(row is not known for known, _ in self.rows)))

    def add(self, text: str, row: Row | None) -> None:
        if row is not None:
            self.rows.append((row, text))
        if len(self.lines) < LONGEST:
            self.lines.append(text)

    def ends_before(self, text: str) -> bool:
        """A call trace is over with the first line that is not of it."""
        if self.span is not Span.TRACE or _END.search(text):
            return False
        return not _TRACE_BODY.match(text) if self.traced else len(self.lines) > UNTRACED

    def ends_with(self, text: str) -> bool:
        if _END.search(text):
            return True
        if self.span is Span.RULED:
            return _RULER.match(text) is not None and len(self.lines) > 1
        return self.span is Span.LINE

    def splat(self) -> Splat:
        named = min(self.rows, key=lambda known: ROWS.index(known[0])) if self.rows else None
        title = _title(*named, self.lines) if named else "a report without a cause"
        excerpt = self.lines if self.traced or self.span is not Span.TRACE else self.lines[:10]
        first = self.rows[0][1] if self.rows else next((text for text in self.lines if not _CUT.match(text)), "")
        kind = _worst([row.kind for row, _ in self.rows], named[0].kind if named else SplatKind.UNKNOWN)
        return Splat(
            title=title, kind=kind, line=self.line, first=first, excerpt=tuple(excerpt),
            fingerprint=fingerprint(title, self.lines),
        )  # fmt: skip


def _worst(kinds: Sequence[SplatKind], named: SplatKind) -> SplatKind:
    """An oops stays an oops whatever names it: the task is dead and its locks are held."""
    return next((kind for kind in (SplatKind.PANIC, SplatKind.OOPS) if kind in kinds), named)


def _title(row: Row, text: str, lines: Sequence[str]) -> str:
    found = row.pattern.match(text)
    groups = {name: (value or "").strip() for name, value in (found.groupdict() if found else {}).items()}
    frame = where(lines)
    title = row.title
    if "{frame}" in title and frame is None:
        title = title.replace(" in {frame}", "").replace("in {frame}", "")
    return normalise(title.format(frame=frame, access=_access(lines), **groups))


def _access(lines: Sequence[str]) -> str:
    """``Read `` or ``Write `` where KASAN says which it was."""
    found = next((m for text in lines[:6] if (m := re.match(r"(Read|Write) of size", text))), None)
    return f"{found.group(1)} " if found else ""


def normalise(text: str) -> str:
    """Text without what differs from run to run: addresses, offsets, numbers of lines, tasks, cpus, inodes."""
    text = re.sub(r"\b0x[0-9a-f]+(?:/0x[0-9a-f]+)?\b|\b(?=[0-9a-f]*\d)[0-9a-f]{8,16}\b", "ADDR", text)
    text = re.sub(r"\+ADDR", "", text)
    text = re.sub(r"\b(ino|nid)=[0-9a-f]+\b", r"\1=N", text)
    text = re.sub(r"(?<=[#:/=\s])-?\d+\b", "N", text)
    return re.sub(r"\s+", " ", text).strip()


def fingerprint(title: str, lines: Sequence[str]) -> str:
    """12 hex digits that stay the same when the same code complains again: the title and the innermost functions."""
    told = "\n".join((title, *frames(lines)[:3]))
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _reports(text: str) -> Iterator[_Report]:
    report: _Report | None = None
    for number, raw in enumerate(text.split("\n"), start=1):
        line = strip(raw)
        row = match(line)
        cut = _CUT.match(line) is not None
        if cut and report is not None and report.announced:
            cut = False
        if report is not None and (cut or (row and not report.takes(row)) or (not row and report.ends_before(line))):
            yield report
            report = None
        if report is None:
            if row is None and not cut and not _END.search(line):
                continue
            report = _Report(number, row, [line])
        else:
            report.add(line, row)
        report.traced = report.traced or _TRACE_HEAD.match(line) is not None
        if report.ends_with(line):
            yield report
            report = None
    if report is not None:
        yield report


def _taint(text: str) -> Iterator[Splat]:
    for number, raw in enumerate(text.split("\n"), start=1):
        found = _TAINT.search(raw)
        told = [TAINTS[flag] for flag in found.group("flags") if flag in TAINTS] if found else []
        if told:
            line = strip(raw)
            title = f"tainted by {' and '.join(told)} that nobody reported"
            yield Splat(
                title=title, kind=SplatKind.UNKNOWN, line=number, first=line, excerpt=(line,),
                fingerprint=fingerprint(title, ()),
            )  # fmt: skip
            return


def scan(text: str) -> tuple[Splat, ...]:
    """Every complaint in a console's text, in its order; the same one again only counts. Never raises.

    A taint that no report explains, and the end of a trace whose beginning is missing, are complaints too.
    """
    found: dict[str, Splat] = {}
    for report in _reports(text):
        splat = report.splat()
        known = found.get(splat.fingerprint)
        found[splat.fingerprint] = msgspec.structs.replace(known, count=known.count + 1) if known else splat
    return tuple(found.values()) or tuple(_taint(text))
