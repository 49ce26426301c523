"""Make in a work tree: every line to a log, each object told as progress, a failure told as whose fault it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BuildError, CommandError, InfraError, LimitError
from harness.kernel import config, makelog, tree
from harness.progress import Progress, Step


@dataclass(frozen=True)
class Make:
    """How make runs for one state of a kernel. ``label`` is the kernel's name in errors, ``jobs`` make's -j."""

    work: tree.WorkTree
    log: Path
    label: str
    jobs: int
    progress: Progress

    def run(self, words: Sequence[str], total: int = 0) -> int:
        """Make targets (``words`` may hold options and variables too); returns how many objects that made.

        ``total`` is how many are expected, 0 when nobody knows. Raises BuildError, InfraError.
        """
        said: list[str] = []
        try:
            return self._run(words, total, said)
        except CommandError as exc:
            raise self.failure(said, exc) from exc

    def all_that_goes(self, words: Sequence[str]) -> list[str]:
        """Make as many of the targets as can be made (-k); returns all that was said. Raises InfraError."""
        said: list[str] = []
        try:
            self._run(["-k", *words], 0, said)
        except CommandError as exc:
            failure = self.failure(said, exc)
            if isinstance(failure, InfraError):
                raise failure from exc
        return said

    def _run(self, words: Sequence[str], total: int, said: list[str]) -> int:
        done = 0
        with self.work.make(words, self.log, self.jobs) as lines:
            for line in lines:
                said.append(line)
                name = makelog.made(line)
                if name:
                    done += 1
                    self.progress(Step("make", done, total if done <= total else 0, name))
        return done

    def failure(self, said: Sequence[str], exc: CommandError) -> InfraError | BuildError:
        """What a make that failed is told as."""
        if isinstance(exc, LimitError):
            return BuildError(
                f"{self.label} does not build", first_error=f"make {exc.output}: it was ended", log=self.log
            )
        fault = makelog.host_fault(said)
        if fault:
            return InfraError(f"{self.label} was not built: {fault}", log=self.log)
        if exc.returncode < 0:
            return InfraError(f"{self.label} was not built: make was killed by signal {-exc.returncode}", log=self.log)
        first = makelog.first_error(said) or "\n".join(said[-5:])
        return BuildError(f"{self.label} does not compile", first_error=first, log=self.log)

    def configure(self, asked: config.Asked, forgiven: str = "") -> dict[str, str]:
        """tinyconfig with what was asked for; returns the options that are on.

        Options that the series ``forgiven`` brings may be missing. Raises UserError when another is, BuildError.
        """
        self.progress(Step("config", note=self.label))
        work = self.work
        work.forget_config()
        self.run(["tinyconfig"])
        work.write_config(config.overlay(work.read(".config"), asked))
        self.run(["olddefconfig"])
        got = config.read_result(work.read(".config"))
        missing = config.compare(asked, got, forgiven=forgiven)
        if missing:
            raise config.complain(missing, got, work.source)
        return got
