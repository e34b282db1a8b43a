"""One self-contained page of HTML: pictures and tables with a text each, and what they were computed with."""

import base64
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from jinja2 import Environment

from attr2face.provenance import environment

TEMPLATE = Path(__file__).with_name("report.html.jinja")


@dataclass(frozen=True)
class Section:
    """A title, a text, PNG files and a table."""

    title: str
    text: str
    pictures: list[Path] = field(default_factory=list)
    table: pd.DataFrame | None = None


def write_page(out: Path, title: str, sections: list[Section]) -> None:
    """Write the page. Pictures become part of it."""
    jinja = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    jinja.filters["embedded"] = lambda path: base64.b64encode(path.read_bytes()).decode()
    jinja.filters["html"] = lambda table: table.to_html(index=False, border=0, na_rep="")
    machine = environment()
    programs = {"python": machine["python"], **machine["versions"]}
    versions = ", ".join(f"{name} {version}" for name, version in programs.items())
    page = jinja.from_string(TEMPLATE.read_text())
    out.write_text(page.render(title=title, sections=sections, machine=machine, versions=versions))
