"""Methods of generation compared: what judges see in faces, how like real pictures they are, whom they show.

A method is measured once for each repetition of training, for the same requests; every number gets an
interval, and every difference to the project's own method one of paired values. Between the mean face as the
floor and photographs as the ceiling.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from attr2face.attributes import Attributes
from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import enlarged, write_picture
from attr2face.errors import UserError
from attr2face.evaluation import quality
from attr2face.evaluation.intervals import over_people, over_repeats
from attr2face.evaluation.judge import photographs
from attr2face.evaluation.likeness import fit_likeness
from attr2face.evaluation.measures import Judges, load_projection, measure_pictures, read_measures
from attr2face.evaluation.requests import Requests
from attr2face.evaluation.scores import score
from attr2face.parallel import Machine

OTHERS = 1000
FRECHET_COMPONENTS = 16
JUDGES = ("ridge", "net")
# What each part of a method adds: the method, and the same without it. The names are those of methods.csv.
PARTS = {
    "regression: the usual person less the mean face": ("usual person", "mean face"),
    "variety: people less the usual person": ("people", "usual person"),
    "choice: people with choices less people": ("people with choices", "people"),
    "descent: towards less people": ("towards", "people"),
    "the net: eigenfaces less the prior alone": ("eigenfaces", "prior alone"),
    "eigenfaces less the prior alone at START=2": ("eigenfaces", "prior alone x 2"),
    "the start: eigenfaces less START=0": ("eigenfaces", "conditional target x 2"),
    "eigenfaces less PRESET=pixels, START=1": ("eigenfaces", "pixels from attributes x 2"),
    "strength 2 less strength 1": ("eigenfaces", "strength 1"),
}
Measures = Mapping[str, np.ndarray]


def write_real(
    database: FaceDatabase, requests: Requests, judges: Judges, seed: int, out: Path, machine: Machine
) -> None:
    """Measure real pictures: the requested people's own, other pictures of unseen people, and the mean face.

    Writes `photographs/`, `own.npz`, `others.npz` (with `rows` of the database) and `mean.npz` into `out`.

    Raises
    ------
    UserError
        If there are no other pictures.
    """
    own = photographs(database, requests.rows)
    for i, picture in enumerate(own):
        write_picture(picture, out / "photographs" / f"{i:03d}.png")
    np.savez(out / "own.npz", **measure_pictures(own, judges, machine))
    unseen = np.setdiff1d(database.rows("val", "test"), requests.rows)
    if len(unseen) == 0:
        remedy = f"lower IMAGES below {len(requests.rows)}, or use more people"
        raise UserError(f"all pictures of unseen people are requested; {remedy}")
    rows = np.sort(np.random.default_rng(seed).permutation(unseen)[:OTHERS])
    np.savez(out / "others.npz", rows=rows, **measure_pictures(photographs(database, rows), judges, machine))
    mean_face = np.asarray(enlarged(database.preprocessing.mean_image))
    np.savez(out / "mean.npz", **measure_pictures([mean_face], judges, machine))


@dataclass(frozen=True)
class Real:
    """Measures of real pictures, and what was requested for which people.

    Attributes
    ----------
    own, others, mean : dict
        Measures of the requested people's pictures, of other pictures of unseen people, and of the mean face.
    known : (n, k)
        `hog` of 4,000 training pictures.
    requested, positive : (n, J) bool
        What is requested of each face; what its photograph has.
    people, people_of_others : (n,), (m,) str
    calibrating : (m,) bool
        Which of the others are of the split that nothing is requested of, which likeness is calibrated on.
    """

    own: Measures
    others: Measures
    mean: Measures
    known: np.ndarray
    requested: np.ndarray
    absent: np.ndarray
    people: np.ndarray
    people_of_others: np.ndarray
    calibrating: np.ndarray

    @classmethod
    def read(cls, database: FaceDatabase, requests: Requests, folder: Path, projections: Path) -> "Real":
        """Read what `write_real` wrote."""
        own, others, mean = (read_measures(folder / f"{name}.npz") for name in ("own", "others", "mean"))
        known = load_projection(projections, "hog").known
        requested = database.attributes.of_classes(database.labels[requests.rows])
        absent, people = database.truth[requests.rows] == 0, database.people[requests.rows]
        rows, asked_split = others["rows"], database.split[requests.rows[0]]
        calibrating = database.split[rows] != asked_split
        return cls(own, others, mean, known, requested, absent, people, database.people[rows], calibrating)

    def another(self) -> np.ndarray:
        """For each requested person the first other picture among `others`; -1 where there is none: (n,)."""
        first = {person: k for k, person in reversed(list(enumerate(self.people_of_others)))}
        return np.array([first.get(person, -1) for person in self.people])

    def reference(self) -> np.ndarray:
        """What sets are compared to: of each person of whom nothing is requested, the first of `others`."""
        _, first = np.unique(self.people_of_others, return_index=True)
        return first[~np.isin(self.people_of_others[first], self.people)]

    def features_of(self, rows: np.ndarray) -> Measures:
        """What distances compare, of some of the others."""
        return {name: self.others[name][rows] for name in ("hog", "deep")}


def of_people(m: Measures, real: Real, query: np.ndarray) -> dict[str, np.ndarray]:
    """What is measured of each face, (n,) each.

    `query` (n, d) are the features that tell whom it shows, NaN where nothing does.
    """
    cosine = query @ real.own["identity"].T
    to_own, stranger = np.diag(cosine), real.people[:, None] != real.people
    others = (cosine * stranger).sum(axis=1) / np.maximum(stranger.sum(axis=1), 1)
    rank = 1 + (stranger & (cosine > to_own[:, None])).sum(axis=1)
    memory = quality.nearest(m["hog"], real.known) / quality.nearest(real.own["hog"], real.known).mean()
    values = {f"requested seen, {judge}": _share(m[judge], real.requested) for judge in JUDGES}
    values |= {f"not there, but seen, {judge}": _share(m[judge], real.absent) for judge in JUDGES}
    return values | {
        "one face": (m["faces"] == 1).astype(float),
        "fine detail": m["fine"] / real.own["fine"].mean(),
        "distance from the mean": m["distance"],
        "nearest training picture": memory,
        "cosine to own": to_own,
        "cosine to others": others,
        "rank of own": np.where(np.isnan(to_own), np.nan, rank),
    }


def _share(seen: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """The share of each picture's counted attributes that are seen: (n, J) twice to (n,).

    What a judge cannot read (NaN) is not counted; a picture of which nothing is counted has no share, NaN.
    """
    counted = counted & ~np.isnan(seen)
    n = counted.sum(axis=1)
    return np.where(n > 0, np.where(counted, seen, 0).sum(axis=1) / np.maximum(n, 1), np.nan)


def of_sets(m: Measures, draws: np.ndarray | None, real: Real) -> dict[str, float]:
    """What is measured of a set of pictures; `draws` (8, 4, k) are `hog` of several faces of requests."""
    values = {"diversity": quality.diversity(m["hog"])}
    if draws is not None:
        of_one = np.mean([quality.diversity(features) for features in draws])
        values["diversity of one request"] = float(of_one)
    return values | _distances(m, real.features_of(real.reference()))


def _distances(m: Measures, others: Measures) -> dict[str, float]:
    """Distances of two sets with a picture of each person: several of one would bias estimates from few."""
    found = {}
    distances = {
        "Fréchet": (quality.unbiased_frechet, FRECHET_COMPONENTS),
        "kernel": (quality.kernel_distance, None),
    }
    for name, (distance, k) in distances.items():
        for kind, feature in (("HOG", "hog"), ("net", "deep")):
            found[f"{name} distance, {kind}"] = distance(m[feature][:, :k], others[feature][:, :k])
    return found


def floor_of_distances(real: Real) -> dict[str, float]:
    """The same distances between real pictures of one half of the people and of the other."""
    halves = np.array_split(np.random.default_rng(0).permutation(real.reference()), 2)
    return _distances(*(real.features_of(half) for half in halves))


@dataclass(frozen=True)
class Compared:
    """All methods' values.

    Attributes
    ----------
    people : dict of dict of (n_repeats, n_requests)
        By method and measure.
    sets : dict of dict of (n_repeats,)
    names : (n_requests,) str
        The person of each request.
    """

    people: dict[str, dict[str, np.ndarray]]
    sets: dict[str, dict[str, np.ndarray]]
    names: np.ndarray

    def intervals(self) -> pd.DataFrame:
        """A row per method and measure: `mean`, `low`, `high`; of ranks, the median over people."""
        rows = []
        for method, by_measure in self.people.items():
            for measure, values in by_measure.items():
                interval = over_people(self._by_person(values), average_of(measure))
                rows.append({"method": method, "measure": measure, **vars(interval)})
            for measure, values in self.sets[method].items():
                rows.append({"method": method, "measure": measure, **vars(over_repeats(values))})
        return pd.DataFrame(rows)

    def differences(self, own: str) -> pd.DataFrame:
        """Methods less others, for the same people and repetitions: the own one less each other, and what the
        `PARTS` add. A row per `method`, `less` and measure; no medians.
        """
        pairs = [(own, other) for other in self.people if other != own]
        pairs += [pair for pair in PARTS.values() if set(pair) <= self.people.keys()]
        rows = []
        for method, less in dict.fromkeys(pairs):
            for measure, values in self.people[method].items():
                if average_of(measure) is not np.median:
                    interval = over_people(self._by_person(values - self.people[less][measure]))
                    rows.append({"method": method, "less": less, "measure": measure, **vars(interval)})
        return pd.DataFrame(rows)

    def _by_person(self, values: np.ndarray) -> np.ndarray:
        """Means over the requests of each person: (n_repeats, n_requests) to (n_repeats, n_people)."""
        people = pd.unique(self.names)
        return np.stack([values[:, self.names == name].mean(axis=1) for name in people], axis=1)


def average_of(measure: str) -> Callable[..., np.ndarray]:
    """How a measure is averaged over people: ranks by their median."""
    return np.median if measure.startswith("rank") else np.mean


def compare_methods(requests: Requests, runs: Mapping[str, Sequence[Path]], real: Real) -> Compared:
    """All values of methods, and of the rows that they stand between.

    `runs` are files of measures for each repetition, by method. Likeness is that to the requested people's
    own photographs, as in Table 2 of the paper.
    """
    n, kept = len(requests.sets), real.calibrating
    rng = np.random.default_rng(0)
    likeness = fit_likeness(real.others["identity"][kept], real.people_of_others[kept], rng)
    people, sets = {}, {}

    def add(name: str, m: Measures, query: np.ndarray, draws: np.ndarray | None = None) -> None:
        """Add a repetition."""
        found = of_people(m, real, query) | {"likeness, %": likeness(query, real.own["identity"])}
        people.setdefault(name, []).append(found)
        sets.setdefault(name, []).append(of_sets(m, draws, real))

    mean = {name: np.repeat(values, n, axis=0) for name, values in real.mean.items()}
    add("mean face", mean, mean["identity"])
    rolled = {name: np.roll(values, 1, axis=0) for name, values in real.own.items()}
    add("photographs of others", rolled, rolled["identity"])
    for name, files in runs.items():
        for whole in map(read_measures, files):
            m = {key: values[:n] for key, values in whole.items()}
            add(name, m, m["identity"], requests.draws_of(whole["hog"]))
    another = real.another()
    query = np.where((another >= 0)[:, None], real.others["identity"][another], np.nan)
    add("photographs", real.own, query)
    return Compared(_stacked(people), _stacked(sets), real.people)


def _stacked(found: Mapping[str, list[dict]]) -> dict[str, dict[str, np.ndarray]]:
    """Values of each repetition, by method and measure, as arrays whose first axis is the repetition."""
    return {
        method: {measure: np.stack([values[measure] for values in repeats]) for measure in repeats[0]}
        for method, repeats in found.items()
    }


def by_attribute(attributes: Attributes, m: Sequence[Measures], real: Real) -> pd.DataFrame:
    """How often each attribute is requested, and seen where it is, by each judge: a row per attribute.

    Where a judge sees an attribute in more faces than in the own photographs that have it, the face
    exaggerates it. Of an attribute that a judge cannot read, nothing is told.
    """
    rows = []
    for j, attribute in enumerate(attributes.names):
        wanted = np.flatnonzero(real.requested[:, j])
        row = {"attribute": attribute, "requested": len(wanted)}
        for judge in JUDGES:
            in_faces = [values[judge][wanted, j].mean() for values in m] if len(wanted) else np.nan
            row[f"in faces, {judge}"] = np.mean(in_faces)
            row[f"in photographs, {judge}"] = real.own[judge][wanted, j].mean() if len(wanted) else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def of_judges(real: Real, database: FaceDatabase) -> pd.DataFrame:
    """How right the judges are on unseen people's pictures, and how far they agree: a row per attribute.

    `kappa` is Cohen's. Numbers of a judge that cannot read an attribute are NaN.
    """
    truth = database.truth[real.others["rows"]]
    table = {"attribute": database.attributes.names, "prevalence": np.nanmean(truth, axis=0)}
    for judge in JUDGES:
        seen = real.others[judge]
        threshold = np.where(np.isnan(seen).any(axis=0), np.nan, 1)
        scores = score(database.attributes, truth, np.nan_to_num(seen), threshold)
        table[f"accuracy, {judge}"] = scores["accuracy"]
        table[f"balanced accuracy, {judge}"] = scores["balanced_accuracy"]
    pairs = zip(*(real.others[judge].T for judge in JUDGES), strict=True)
    return pd.DataFrame({**table, "kappa": [_kappa(one, other) for one, other in pairs]})


def _kappa(one: np.ndarray, other: np.ndarray) -> float:
    """NaN where a judge cannot read the attribute, or both always say the same."""
    said = np.unique([one, other])
    return cohen_kappa_score(one, other) if len(said) > 1 and not np.isnan(said).any() else np.nan
