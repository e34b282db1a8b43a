"""The report: every figure and table of the paper, in one page."""

import base64
import json
import re

import numpy as np
import pandas as pd
import pytest

from attr2face.attributes import pubfig
from attr2face.data.pictures import read_picture
from attr2face.evaluation.diagnosis import best_targets
from attr2face.report.page import Section, write_page
from attr2face.report.results import result_tables
from attr2face.report.sections import Results
from attr2face.steps.comparing import own_method
from attr2face.steps.fitting import trained_by
from tests.conftest import SMALL


@pytest.fixture(scope="module")
def report(steps):
    return steps.made("report")


def test_every_figure_is_in_the_page_and_beside_it(report):
    page = (report / "report.html").read_text()
    numbers = ("1", "3a", "3b", "4", "5", "6", "7", "8")
    for number in numbers:
        assert (report / f"figure{number}.svg").exists()
        assert base64.b64encode((report / f"figure{number}.png").read_bytes()).decode() in page
    assert page.count("data:image/png;base64,") == len(numbers) + 2, "and two plots of the comparison"
    factors = pd.read_csv(SMALL["methods"])["factor"].unique()
    assert page.count("data:image/jpeg;base64,") == len(factors), "a sheet for each factor of the table"
    for number in (1, *range(3, 9)):
        assert f"Figure {number}" in page
    assert "Table 1" in page
    assert "Table 2" in page
    assert "0.795" in page, "the paper's own number"


def test_the_page_needs_nothing_from_the_web(report):
    page = (report / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_tables_are_those_of_the_stages(steps, report):
    stages = {
        "gaussians": steps["diagnosis"].path / "numbers.csv",
    }
    for name, written in stages.items():
        assert pd.read_csv(report / f"{name}.csv").equals(pd.read_csv(written))
        assert (report / f"{name}.md").read_text().startswith("|")
    shown = result_tables(
        {"synthetic-mini": json.loads((steps["numbers"].path / "numbers.json").read_text())}
    )
    for name, of in (
        ("table1", "freezing"),
        ("inversion", "inversion"),
        ("seen", "seen, synthetic-mini"),
        ("judges", "judges"),
    ):
        written = pd.read_csv(report / f"{name}.csv", dtype=str, keep_default_na=False)
        assert (written == shown[of].drop(columns="data", errors="ignore").fillna("").astype(str)).all(
            axis=None
        ), name
    best = best_targets(pd.read_csv(steps["diagnosis"].path / "targets.csv")).reset_index()
    assert pd.read_csv(report / "targets.csv")["target"].tolist() == best["target"].tolist()


def test_prevalences_are_those_of_the_database(report, database):
    table = pd.read_csv(report / "distribution.csv")
    assert table["attribute"].tolist() == list(pubfig().names)
    assert np.allclose(table["prevalence"], (database.scores > 0).mean(axis=0))


def test_agreement_by_chance_is_that_of_the_test_people(report, database):
    has = database.positive[database.split == "test"]
    table = pd.read_csv(report / "clusters.csv").set_index("attribute")
    expected = [np.mean(column[:, None] == column[None]) for column in has.T]
    assert np.allclose(table["by chance"], expected)


def test_likenesses_stand_beside_the_papers(steps, report):
    table = pd.read_csv(report / "table2.csv")
    likeness = pd.read_csv(steps["evaluation"].path / "likeness.csv")
    own = own_method(steps.view("compared"))
    assert np.allclose(table["likeness, %"][: len(likeness)], likeness[own], equal_nan=True)
    assert table["paper's likeness, %"].mean() == pytest.approx(325 / 9)


def test_a_page_escapes_names_and_embeds_pictures(tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    sections = [
        Section(
            "<b>title</b>", "text & more", [tmp_path / "a.png"], pd.DataFrame({"x": ["1.5", "<i>cell</i>"]})
        )
    ]
    write_page(tmp_path / "page.html", "small", sections)
    page = (tmp_path / "page.html").read_text()
    assert "&lt;b&gt;title&lt;/b&gt;" in page
    assert "text &amp; more" in page
    assert base64.b64encode(b"picture").decode() in page
    assert "1.5" in page
    assert "&lt;i&gt;cell&lt;/i&gt;" in page


def test_figure_8_shows_the_generated_faces(steps):
    """The pictures that the section reads are those of the project's own method."""
    methods = {name: repeated[0]["faces"].path for name, repeated in steps["runs"].items()}
    results = Results(
        trained_by(steps, "mixture", "eigenfaces"),
        steps["pretrained"].path / "weights.caffemodel",
        scores=steps["scores"].path,
        experiments=steps.store.root,
        diagnosis=steps["diagnosis"].path,
        evaluation=steps.made("evaluation"),
        inversion=steps.store.root,
        real=steps["real"].path,
        numbers=steps.made("numbers"),
        methods=methods,
    )
    assert results.own == own_method(steps.view("compared"))
    for name, folder in (("paper", methods["paper"]), ("photographs", steps["real"].path / "photographs")):
        shown = results.shown(name)
        assert len(shown) == 4
        assert all(
            (picture == read_picture(folder / f"{i:03d}.png")).all() for i, picture in enumerate(shown)
        )
