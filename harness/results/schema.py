"""results/schema.json: the structs of ``harness.results.model`` and the case record as JSON Schema 2020-12."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.results import files
from harness.results.model import CaseResult, Manifest, RunResult
from harness.results.run import to_json
from harness.verdict.judge import CaseRecord

FILES = {"manifest.json": Manifest, "result.json": RunResult, "outcome.json": CaseResult, "record.json": CaseRecord}


def text() -> bytes:
    """The schema as it stands in the repository: ``$defs`` by struct, ``files`` naming each file's struct."""
    references, components = msgspec.json.schema_components(FILES.values(), ref_template="#/$defs/{name}")
    return to_json(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "a run folder of the lab",
            "files": dict(zip(FILES, references, strict=True)),
            "$defs": dict(sorted(components.items())),
        }
    )


def export(path: Path) -> None:
    """Write the schema: ``python -c 'from harness.results import schema; ...'`` after a struct has changed."""
    files.write(path, text())
