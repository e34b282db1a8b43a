"""Tables of the comparison as text."""

import numpy as np
import pandas as pd
import pytest

from attr2face.evaluation.summary import columns_of, text_of


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.8712, 0.85, 0.9), "0.871 (0.850 to 0.900)"),
        ((12.345, 10.0, 14.0), "12.3 (10.0 to 14.0)"),
        ((50.5, 45.0, 55.0), "50.5 (45.0 to 55.0)"),
        ((0.0, np.nan, np.nan), "0.00"),
        ((-0.05, -0.1, 0.02), "-0.050 (-0.100 to 0.020)"),
        ((0.0001, -0.0002, 0.0003), "0.000 (0.000 to 0.000)"),
        ((np.nan, np.nan, np.nan), ""),
    ],
)
def test_a_number_has_three_digits_and_its_interval(numbers, text):
    assert text_of(*numbers) == text


def test_measures_become_columns_in_the_order_of_the_methods():
    rows = [("b", "x", 1.0), ("b", "y", 2.0), ("a", "x", 3.0)]
    table = pd.DataFrame(
        [{"method": m, "measure": what, "mean": v, "low": v - 0.5, "high": v + 0.5} for m, what, v in rows]
    )
    shown = columns_of(table, ("y", "x"))
    assert list(shown["method"]) == ["b", "a"]
    assert shown.loc[0, ["y", "x"]].tolist() == ["2.00 (1.50 to 2.50)", "1.00 (0.50 to 1.50)"]
    assert shown.loc[1, "y"] == ""
