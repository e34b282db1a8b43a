"""Figures: what is drawn are the given numbers."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from scipy import stats

from attr2face.attributes import pubfig
from attr2face.models import MODELS
from attr2face.report import figures


@pytest.fixture(scope="module")
def prevalence() -> pd.Series:
    return pd.Series(np.random.default_rng(0).permutation(np.linspace(0, 1, 73)), pubfig().names)


def test_bars_of_the_distribution_are_prevalences_in_percent(prevalence):
    (axes,) = figures.distribution(prevalence, {"Black": 0.03, "White": 0.76}).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    widths = [bar.get_width() for bar in axes.patches]
    assert dict(zip(labels, widths, strict=True)) == pytest.approx((100 * prevalence).to_dict())
    assert widths == sorted(widths)
    points = {labels[round(y)]: x for x, y in axes.collections[0].get_offsets()}
    assert points == pytest.approx({"Black": 3, "White": 76})


def test_histograms_have_the_gaussian_of_the_drawn_element():
    rng = np.random.default_rng(0)
    has = rng.random((500, 73)) < 0.5
    phi = {
        "after ReLU": np.maximum(rng.normal(2, 3, (500, 20)), 0),
        "before ReLU": rng.normal(2, 3, (500, 20)),
    }
    phi["after ReLU"][:, 3:9] = 0
    figure = figures.histograms(
        phi, {name: has[:, pubfig().index[name]] for name in ("Male", "Smiling")}, np.random.default_rng(1)
    )
    assert len(figure.axes) == 4
    for k, axes in enumerate(figure.axes):
        name, _, element = axes.get_title().partition(", element ")
        values = phi[list(phi)[k // 2]][has[:, pubfig().index[name]], int(element)]
        x, y = axes.lines[0].get_data()
        assert (x[0], x[-1]) == pytest.approx((values.min(), values.max()))
        assert np.allclose(y, stats.norm.pdf(x, values.mean(), values.std()))
        heights, edges = np.histogram(values, 40, density=True)
        assert np.allclose([bar.get_height() for bar in axes.patches], heights)
        assert axes.patches[0].get_x() == pytest.approx(edges[0])
        if k < 2:
            assert int(element) not in range(3, 9), "elements that never vary are not shown"


def test_histograms_are_those_of_the_most_common_attributes():
    has = np.arange(100)[:, None] < np.r_[[90, 10, 80, 70, 60], np.zeros(68)]
    figure = figures.common_histograms(
        {"all": np.random.default_rng(0).standard_normal((100, 6))}, pubfig(), has, 1
    )
    assert [axes.get_title().partition(",")[0] for axes in figure.axes] == [
        pubfig().names[j] for j in (0, 2, 3, 4)
    ]


def test_lines_of_losses_are_smoothed_histories(tmp_path):
    rng, histories = np.random.default_rng(0), {}
    for k in range(10):
        histories[f"run {k}"] = tmp_path / f"{k}.csv"
        loss = pd.DataFrame({"iteration": 20 * np.arange(1, 41), "loss": 30 - k + rng.standard_normal(40)})
        loss.to_csv(histories[f"run {k}"], index=False)
    (axes,) = figures.losses(histories).axes
    assert [line.get_label() for line in axes.lines] == list(histories)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(histories)
    for line, path in zip(axes.lines, histories.values(), strict=True):
        history, smoothed, weight = pd.read_csv(path), 0.0, 0.0
        expected = []
        for loss in history["loss"]:
            smoothed, weight = smoothed * (1 - 2 / 21) + loss, weight * (1 - 2 / 21) + 1
            expected.append(smoothed / weight)
        assert np.allclose(line.get_xdata(), history["iteration"])
        assert np.allclose(line.get_ydata(), expected)
    assert len({(to_hex(line.get_color()), line.get_linestyle()) for line in axes.lines}) == 10, (
        "each line can be told apart"
    )


def test_embeddings_show_every_image_and_count_agreement():
    rng = np.random.default_rng(0)
    points, has = (
        {"before": rng.standard_normal((50, 2)), "after": rng.standard_normal((50, 2))},
        np.arange(50) < 13,
    )
    figure = figures.embeddings(points, has, "Youth", {"before": 0.61, "after": 0.87}, 0.6)
    for axes, (name, xy) in zip(figure.axes, points.items(), strict=True):
        without, having = (collection.get_offsets() for collection in axes.collections)
        assert np.allclose(without, xy[~has])
        assert np.allclose(having, xy[has])
        assert axes.get_title() == f"{name}: neighbours agree in {({'before': 61, 'after': 87})[name]}%"
    assert figure.get_suptitle() == "Youth (by chance 60%)"
    assert [text.get_text() for text in figure.axes[-1].get_legend().get_texts()] == ["not Youth", "Youth"]


def test_pictures_stand_in_their_columns_and_rows():
    rng = np.random.default_rng(0)
    columns = {
        name: rng.integers(0, 255, (2, 8, 8, 3), np.uint8) for name in ("photograph", "generated", "other")
    }
    figure = figures.pictures(columns, ["first", "second"])
    shown = np.array([axes.images[0].get_array() for axes in figure.axes]).reshape(2, 3, 8, 8, 3)
    for k, (name, column) in enumerate(columns.items()):
        assert (shown[:, k] == column).all()
        assert figure.axes[k].get_title() == name
    assert [figure.axes[i].get_ylabel() for i in (0, 3)] == ["first", "second"]


@pytest.mark.parametrize("name", MODELS)
def test_the_network_is_drawn_with_its_widths_and_heads(name):
    (axes,) = figures.network_figure(MODELS[name]).axes
    texts = [text.get_text() for text in axes.texts]
    widths = MODELS[name].widths
    assert f"conv5\n3 conv 3x3\n{widths[4]}\npool" in texts
    assert f"fc7\n{widths[5]}\nunits" in texts
    assert len(axes.patches) == 1 + 5 + 2
    assert len(axes.lines) == len(pubfig().heads) == 42
    assert sum(int(text.rpartition("(")[2][:-1]) for text in texts if text.endswith(")")) == 115


def test_a_figure_is_written_as_png_and_as_svg_that_is_the_same_each_time(prevalence, tmp_path):
    for name in ("one", "again"):
        figures.save(figures.distribution(prevalence, {}), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    assert "<svg" in (tmp_path / "one.svg").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"one.png", "one.svg", "again.png", "again.svg"}
