"""One self-contained page of HTML: pictures and tables with a text each, and what was run on what."""

import base64
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from jinja2 import Environment

from attr2face.files import provenance

TEMPLATE = Path(__file__).with_name("report.html.jinja")


@dataclass(frozen=True)
class Part:
    """A section: a title, what it shows, PNG files and a table."""

    title: str
    text: str
    pictures: list[Path] = field(default_factory=list)
    table: pd.DataFrame | None = None


def write_report(out: Path, dataset: str, model: str, parts: list[Part], runs: pd.DataFrame) -> None:
    """Write the page. Pictures become part of it."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["embedded"] = lambda path: base64.b64encode(path.read_bytes()).decode()
    environment.filters["html"] = lambda table: table.to_html(index=False, border=0, na_rep="")
    machine = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} processors"
    versions = ", ".join(f"{name} {version}" for name, version in provenance([])["versions"].items())
    page = environment.from_string(TEMPLATE.read_text())
    out.write_text(page.render(dataset=dataset, model=model, parts=parts, runs=runs, machine=machine, versions=versions))
