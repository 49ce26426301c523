"""Errors that say whose fault it is.

Library code raises one of these; only ``harness.cli`` prints them and exits with their code.
"""

from __future__ import annotations

from pathlib import Path


class LabError(Exception):
    """Something the user must hear about: one factual message, and what to do next.

    ``log`` is a file that holds the whole story (a build log, a console), if there is one.
    """

    exit_code = 4
    whose = "lab"

    def __init__(self, message: str, *, hint: str | None = None, log: Path | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.log = log


class UserError(LabError):
    """The request or a declaration is wrong: a mistyped key, a series that does not apply."""

    exit_code = 2
    whose = "request"


class DeclarationError(UserError):
    """A file of the catalogue is wrong. ``where`` is file, key and line as far as they are known."""

    whose = "declaration"

    def __init__(self, where: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{where}: {message}", hint=hint)
        self.where = where


class SeriesError(UserError):
    """A patch of a series does not apply. The message names the patch, the file and the hunk."""

    whose = "series"


class BuildError(LabError):
    """The tree under test or a case does not compile. ``first_error`` is the compiler's own first error."""

    exit_code = 3
    whose = "build"

    def __init__(
        self, message: str, *, first_error: str = "", hint: str | None = None, log: Path | None = None
    ) -> None:
        super().__init__(message, hint=hint, log=log)
        self.first_error = first_error


class InfraError(LabError):
    """The host is at fault: a missing tool, a full disk, a QEMU that will not start."""

    exit_code = 4
    whose = "infrastructure"


class OverdueError(InfraError):
    """A program did not end in the time that it had. It was ended."""


class CommandError(InfraError):
    """A program that had to succeed did not. Carries the command, its exit code and its output's end."""

    def __init__(self, argv: tuple[str, ...], returncode: int, output: str, *, hint: str | None = None) -> None:
        tail = "\n".join(output.strip().splitlines()[-10:])
        how = f"was killed by signal {-returncode}" if returncode < 0 else f"exited with {returncode}"
        super().__init__(f"{argv[0]} {how}" + (f":\n{tail}" if tail else ""), hint=hint)
        self.argv = argv
        self.returncode = returncode
        self.output = output


class LimitError(CommandError):
    """A program used up what it was given: processes, time, patience. It was ended."""
