"""Stages that write a few bytes."""

from pathlib import Path

from attr2face.store import Artefact, Store


def writing(text: str):
    """A stage's work."""

    def work(out: Path) -> None:
        (out / "text").write_text(text)

    return work


def artefact(store: Store, text: str = "a", work=None, **changed) -> Artefact:
    values = {"settings": {"text": text}, "inputs": {}, "differences": {}, "origin": {}} | changed
    return Artefact(store, "group", "stage", work or writing(text), **values)
