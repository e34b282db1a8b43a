"""What the documents say of the project is so: links, commands, settings, error messages."""

import re
from pathlib import Path

import pytest

from attr2face.settings import Settings, leaves

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("models/*/readme.md")),
]
# On make's command line or in the environment, beside the settings.
OPTIONS = {
    "ATTRS",
    "N",
    "OUT",
    "GPU",
    "WORKERS",
    "SCHEDULER",
    "SHIP",
    "STORE",
    "PORT",
    "TORCH",
    "YES",
    "ALL",
    "STEPS",
    "CUDA_ARCH",
    "CAFFE_ROOT",
    "CAFFE_SOURCE",
    "MARCH",
    "CONDA",
}

of_every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


def anchors(document: Path) -> set[str]:
    """The names by which GitHub links to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@of_every_document
def test_links_lead_to_files_and_headings(document):
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@of_every_document
def test_commands_and_settings_exist(document):
    text = document.read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    commands = " ".join(re.findall(r"`[^`\n]+`|^    .*$", text, re.M))
    assert set(re.findall(r"\bmake ([a-z]+)\b", commands)) <= targets
    known = {f.name.upper() for _, f in leaves(Settings())} | OPTIONS
    assert set(re.findall(r"\b([A-Z][A-Z_]{2,})=", text)) <= known


def test_the_readme_begins_with_a_picture_and_the_first_face():
    text = (ROOT / "README.md").read_text()
    assert (
        text.index("![")
        < text.index("## Start")
        < text.index("    make generate")
        < text.index("    make test")
    )


def test_messages_in_troubleshooting_are_those_of_the_program():
    files = [*(ROOT / "python").rglob("*.py"), *(ROOT / "setup").glob("*.sh")]
    # A sentence may be written in two strings, one below the other, and with names in it.
    source = re.sub(r'"\n\s*f?"', "", "\n".join(path.read_text() for path in files)).replace(
        "{MANIFEST}", "manifest.json"
    )
    sentences = re.findall(r"^> (.*)$", (ROOT / "docs" / "troubleshooting.md").read_text(), re.M)
    assert len(sentences) >= 20
    for sentence in sentences:
        script, _, said = sentence.rpartition(".sh: ")
        assert not script or (ROOT / f"{script}.sh").exists(), sentence
        for part in re.split(r"…|; ", said):
            assert part.strip(" '?") in source, f"{part!r} of {sentence!r}"
