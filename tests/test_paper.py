"""Figures, clusters, and the report that puts the paper's figures and tables beside ours."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attr2face import clusters, figures
from attr2face.attributes import ATTRIBUTES
from attr2face.models import MODELS
from tests.conftest import succeed


def test_neighbours_of_clustered_images_agree_and_those_of_scattered_ones_do_by_chance():
    rng = np.random.default_rng(0)
    has, people = rng.random(400) < 0.3, np.arange(400)
    scattered = rng.standard_normal((400, 8))
    clustered = scattered + 6 * has[:, None]
    assert clusters.agreement(clustered, has, people) > 0.95
    assert clusters.agreement(scattered, has, people) == pytest.approx(clusters.by_chance(has), abs=0.06)


def test_pictures_of_the_same_person_are_no_neighbours():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(60), 4)
    phi = rng.standard_normal((60, 8))[people] + 0.01 * rng.standard_normal((240, 8))
    has = (rng.random(60) < 0.5)[people]
    assert clusters.agreement(phi, has, people) < 0.7, "each person's own pictures would agree in all"


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 99))
def test_chance_is_least_where_an_attribute_is_as_common_as_not(positives):
    has = np.arange(100) < positives
    assert 0.5 <= clusters.by_chance(has) <= 1


def test_every_figure_is_written_as_png_and_svg(tmp_path):
    share = pd.Series(np.linspace(0, 1, 73), ATTRIBUTES)
    drawn = {"network": figures.network(MODELS["vgg_face"]), "distribution": figures.distribution(share, {"Black": 0.03})}
    for name, figure in drawn.items():
        figures.save(figure, tmp_path / name)
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
        assert "<svg" in (tmp_path / f"{name}.svg").read_text()


def test_the_report_has_every_figure_and_table(pipeline, tmp_path):
    """`make paper` on the small pipeline, stage by stage."""
    made_from = ("--lmdb", pipeline.lmdb, "--weights", pipeline.weights, "--cgmm", pipeline.cgmm, "--eigenfaces", pipeline.eigenfaces)
    net, begun = ("--lmdb", pipeline.lmdb, "--weights", pipeline.weights), ("--identities", pipeline.pretrained)
    grid, scores, judge = tmp_path / "grid.csv", tmp_path / "scores.csv", tmp_path / "judge.h5"
    columns = "name,freeze,cache,fall,dropout,dropout_everywhere,weigh_classes\n"
    grid.write_text(columns + "fc6,fc6,1,1,0.5,0,0\nconv5,conv5,1,1,0.5,0,0\n")
    succeed(
        "experiments", "--lmdb", pipeline.lmdb, "--weights", pipeline.pretrained, "--grid", grid, "--epochs", 1, "--out", tmp_path / "grid"
    )
    succeed("score", *net, "--out", scores)
    succeed("judge", "--lmdb", pipeline.lmdb, "--out", judge)
    succeed("diagnose", *net, "--activations", pipeline.activations, "--cgmm", pipeline.cgmm, "--out", tmp_path / "diagnosis")
    succeed("evaluate", *made_from, *begun, "--judge", judge, "--images", 4, "--out", tmp_path / "evaluation")
    succeed("invert", *net, "--eigenfaces", pipeline.eigenfaces, "--layers", "conv3_3,fc7", "--out", tmp_path / "inversion")
    folders = [f(name) for name in ("diagnosis", "evaluation", "inversion") for f in (lambda n: f"--{n}", lambda n: tmp_path / n)]
    succeed("paper", *made_from, *begun, "--scores", scores, "--experiments", tmp_path / "grid", *folders, "--out", tmp_path / "paper")
    page = (tmp_path / "paper" / "report.html").read_text()
    for number in ("1", "3a", "3b", "4", "5", "6", "7", "8"):
        assert (tmp_path / "paper" / f"figure{number}.png").exists()
        assert (tmp_path / "paper" / f"figure{number}.svg").exists()
    for number in (1, *range(3, 9)):
        assert f"Figure {number}" in page
    assert page.count("data:image/png;base64,") == 8
    assert "Table 1" in page
    assert "Table 2" in page
    assert "0.795" in page, "the paper's own number"
    assert (tmp_path / "paper" / "table2.md").read_text().startswith("|")
    assert "http://" not in page.replace("http://www.w3.org", "")
