"""The report: on disk after every step, with a verdict for every row that was promised."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from tests.gpu.rows import verdicts
from tests.gpu.steps import Step

__all__ = ["Report", "to_markdown"]


@dataclass
class Report:
    """What is known so far."""

    stem: Path
    surroundings: dict[str, Any]
    told: TextIO
    steps: list[Step] = field(default_factory=list)
    not_reached: list[str] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)

    def add(self, steps: Sequence[Step]) -> None:
        """Keep, write and tell them."""
        self.steps += steps
        for step in steps:
            self.told.write(f"{step.outcome:>11}  {step.seconds:6.1f} s  {step.name}\n")
        self.told.flush()
        self.write()

    def write(self) -> None:
        """JSON and Markdown, each whole or as it was before."""
        for suffix, text in (
            (".json", json.dumps(self.as_dict(), indent=2) + "\n"),
            (".md", to_markdown(self.as_dict())),
        ):
            partial = self.stem.with_suffix(suffix + ".partial")
            partial.write_text(text, encoding="utf-8")
            partial.replace(self.stem.with_suffix(suffix))

    def as_dict(self) -> dict[str, Any]:
        """Return what goes into the JSON file."""
        return {
            "surroundings": self.surroundings,
            "rows": verdicts({step.name: step.figures for step in self.steps if step.figures}),
            "steps": [asdict(step) for step in self.steps],
            "not_reached": self.not_reached,
            "unmeasured": self.unmeasured,
        }

    @property
    def good(self) -> bool:
        """Whether all passed and nothing was left."""
        return not self.not_reached and all(step.outcome == "passed" for step in self.steps)


def to_markdown(report: dict[str, Any]) -> str:
    """Return the report as people read it."""
    about = report["surroundings"]
    lines = ["# GPU check", "", f"{'; '.join(about['gpus'])} · {about['date']} · {about['commit']}"]
    details = {
        name: value
        for name, value in about.items()
        if name not in {"gpus", "date", "commit"} and value
    }
    lines += [f"\n{name}: {_one_line(value)}" for name, value in details.items()]
    lines += ["", "| what | at least | measured | |", "|---|---|---|---|"]
    for row in report["rows"]:
        lines.append(f"| {row['what']} | {row['wanted']} | {row['measured']} | {row['verdict']} |")
    lines += ["", "| step | outcome | s | said |", "|---|---|---|---|"]
    for step in report["steps"]:
        said = json.dumps(step["figures"]) if step["figures"] else _last_words(step["said"])
        said = " ".join(said.split()).replace("|", "/")
        lines.append(f"| {step['name']} | {step['outcome']} | {step['seconds']:.1f} | {said} |")
    for heading, rows in (
        ("Not reached in the time there was, the most wanted first:", report["not_reached"]),
        ("Not measured by this command:", report["unmeasured"]),
    ):
        if rows:
            lines += ["", heading, "", *(f"- {row}" for row in rows)]
    for step in report["steps"]:
        if step["said"] and step["outcome"] != "passed":
            lines += ["", f"## {step['name']}: {step['outcome']}", "", "```text"]
            lines += [step["said"].replace("```", "'''"), "```"]
    return "\n".join(lines) + "\n"


def _last_words(text: str) -> str:
    """Of a test its error, of anything else the last line."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line[1:] for line in lines if line.startswith("E  ")]
    return (errors or lines[-1:] or [""])[0].strip()[:300]


def _one_line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return " · ".join(value) if isinstance(value, list) else str(value)
