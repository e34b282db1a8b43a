"""Lent heads: a drawn inner face in the photograph of somebody who lends hair, ears and neck.

Who lends is chosen by attributes and by the outline of the head, never by likeness. The contour of the face
stays the lender's; features lie where they are drawn, and the nearer to the contour, the more where the
lender's are. The drawn face fades into the photograph along the contour and takes the skin's colour there.
Glasses are the lender's own, with the eyes behind them; drawn faces have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import h5py
import numpy as np
from skimage.transform import estimate_transform

from attr2face.attributes import Attributes, plain
from attr2face.data.alignment import Frame, cut_images
from attr2face.data.faces import Faces
from attr2face.data.parts import FACE, GLASSES
from attr2face.data.pictures import PICTURE
from attr2face.data.places import place_of, root_at
from attr2face.generation.appearance.backdrop import Backdrop
from attr2face.generation.appearance.known import Known
from attr2face.generation.appearance.model import Appearance, steep
from attr2face.generation.appearance.outline import HAIRLINE, RAY, hull_lengths
from attr2face.generation.appearance.sample import share_of_head
from attr2face.generation.appearance.warp import View, smooth_step

NEAREST = 12  # lenders among whom one is drawn
MOST_ASKED = 24  # lenders who are tried for a face
# Attributes of what is lent, and by how much somebody who disagrees counts as worse.
LENT = {name: 100 for name in ("Male", "No Eyewear", "Eyeglasses", "Sunglasses")}
LENT |= {name: 3 for name in ("Asian", "White", "Black", "Indian", "Bald", "Wearing Hat", "No Beard")}
LENT |= {name: 3 for name in ("Baby", "Child", "Youth", "Middle Aged", "Senior", "Young")}
LENT |= {name: 2 for name in ("Black Hair", "Blond Hair", "Brown Hair", "Gray Hair")}
LENT |= {name: 1 for name in ("Curly Hair", "Wavy Hair", "Straight Hair", "Receding Hairline", "Bangs")}
# These count only where they are asked for.
ASKED = {name: 1 for name in ("Wearing Earrings", "Wearing Necktie", "Wearing Necklace")}
ASKED |= {name: 1 for name in ("Sideburns", "Goatee", "Chubby", "Double Chin")}
BARE = {"No Eyewear": 1.0, "Eyeglasses": 0.0, "Sunglasses": 0.0}  # a face without glasses
SPECTACLED = 0.01  # share of a picture that glasses cover at least
# Widths as shares of the picture's side, from the contour inwards: over which the drawn face fades in, and
# over which features move to where they are drawn.
FADE, MOVE = 14 / 128, 14 / 128
SPREAD = 0.15  # deviation with which the colours along the contour reach inwards, as a share of the side
GLASSES_REACH = (-0.12, 0.17)  # how far up and down from between the eyes, as shares of the face's width
BY_GLASSES = 0.05  # width over which the drawn face fades in beside glasses, as a share of the side
MOST_FOLDED = 0.002  # of the picture's area
FOREHEAD = (-0.15, -0.5)  # heights of rays where the contour leaves the landmarks, and meets the hairline


@dataclass(frozen=True)
class Lenders:
    """The n pictures that an appearance model was fitted to.

    Attributes
    ----------
    faces : Faces
        With `place` for its root.
    has : (n, J)
        How probably each picture shows each attribute.
    place : (Path, str or None)
        As `places.place_of` gives it.
    frame : Frame
        How they are cut out.
    around : (n, Q, 2) float32
        The points about the heads (`points_around`).
    rows : (n,) int
        Of landmarks and masks.
    landmarks : Path
        Folder of `data.shapes.write_landmarks`.
    masks : Path, optional
        Folder of `network.masks.write_masks`.
    """

    faces: Faces
    has: np.ndarray
    place: tuple[Path, str | None]
    frame: Frame
    around: np.ndarray
    rows: np.ndarray
    landmarks: Path
    masks: Path | None

    def in_order(self, wanted: np.ndarray, around: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Who is asked first to lend a head for a drawn face, and who then: (n,) int.

        Those who agree best with what is wanted (`wanted_of`), by how near the points about their heads lie
        to those about the drawn one, (Q, 2); the nearest dozen of those who agree alike is shuffled.
        """
        weights = _weights(self.faces.attributes, LENT | ASKED)
        known = ~np.isnan(wanted)
        differs = np.abs(self.has[:, known] - (wanted[known] > 0))
        worse = differs @ weights[known]
        distance = np.linalg.norm(centred(self.around) - centred(around), axis=2).mean(axis=1)
        order = np.lexsort((distance, worse))
        first = min(NEAREST, (worse == worse.min()).sum())
        order[:first] = rng.permutation(order[:first])
        return order

    def lender(self, model: Appearance, i: int, size: int) -> Lender:
        """One of them, in a picture of `size` pixels."""
        view = model.view(size)
        with h5py.File(self.landmarks / "landmarks.h5") as file:
            landmarks = file["points"][self.rows[i]].astype(float)
        matte = part = None
        if self.masks:
            with h5py.File(self.masks / "masks.h5") as file:
                matte, part = (file[name][self.rows[i]] for name in ("matte", "part"))
        points = model.layout.points(landmarks, matte, part)
        centre = landmarks[model.layout.centre].mean(axis=0)
        if self.masks:
            matte = steep(share_of_head(view.of(matte)))[..., None]
            part = view.of(part, cv2.INTER_NEAREST)
        contour = contour_of(model, points, centre)
        labelled = spectacled(self.faces.attributes, (self.has[i] > 0.5).astype(float))
        band = centre[1] + np.array(GLASSES_REACH) * np.ptp(contour[:, 0])
        return Lender(self._photograph(i, view), points, contour, band if labelled else None, matte, part)

    def _photograph(self, i: int, view: View) -> np.ndarray:
        """What is in a view of a picture, from the file's own pixels: (size, size, 3) uint8."""
        scale = view.size / view.width
        larger = self.frame.scaled(round(self.frame.side * scale))
        faces = replace(self.faces.only(np.array([i])), root=root_at(*self.place))
        (picture,) = cut_images(faces, [0], larger)
        times = larger.side / self.frame.side
        return View(view.first * times, view.width * times, view.size).of(picture)


@dataclass(frozen=True)
class Lender:
    """Somebody who lends a head.

    Attributes
    ----------
    photograph : (size, size, 3) uint8
    points : (P, 2)
        Of the shape, in pixels of the model's pictures, as the contour is.
    contour : (40, 2)
        Of the face: hairline, cheeks and chin.
    eyes : (2,), optional
        From where to where downwards glasses reach, of which the attributes tell.
    matte : (size, size, 1) float32, optional
        How much of a pixel is head, 0 to 1.
    part : (size, size) uint8, optional
        Numbers of `data.parts.PARTS`.
    """

    photograph: np.ndarray
    points: np.ndarray
    contour: np.ndarray
    eyes: np.ndarray | None
    matte: np.ndarray | None
    part: np.ndarray | None

    @property
    def spectacled(self) -> bool:
        """Whether glasses are seen."""
        return self.part is not None and (self.part == GLASSES).mean() > SPECTACLED

    def with_face(
        self, model: Appearance, z: np.ndarray, texture: np.ndarray, backdrop: Backdrop
    ) -> np.ndarray:
        """The photograph with the face of coordinates z (k,) and their texture in it: (size, size, 3) uint8.

        Before a backdrop, if there is a matte and it is not the photograph's own; with a fourth channel if
        that is alpha.
        """
        view = model.view(len(self.photograph))
        points = self._moved(model, model.points(z))
        drawn = model.picture(texture, points, view, Backdrop("alpha"))[..., :3].astype(np.float32)
        photograph = self.photograph.astype(np.float32)
        weight = self._weight(view)
        drawn += shift_along(weight, photograph - drawn)
        made = photograph + weight * (drawn - photograph)
        if self.matte is not None and backdrop.name != "own":
            made = backdrop.behind(_without_background(made, self.matte), self.matte)
        return np.rint(made).clip(0, 255).astype(np.uint8)

    def _moved(self, model: Appearance, drawn: np.ndarray) -> np.ndarray:
        """Where the points (P, 2) of a drawn face come to lie: the lender's at the contour and beyond."""
        inner = model.layout.inner
        placed = estimate_transform("similarity", drawn[inner], self.points[inner])(drawn[inner])
        contour = self.contour.astype(np.float32)
        depth = [cv2.pointPolygonTest(contour, (x, y), measureDist=True) for x, y in self.points[inner]]
        share = smooth_step(np.array(depth) / (MOVE * model.region[1]))[:, None]
        points = self.points.copy()
        for less in (1, 0.75, 0.5, 0.25, 0):
            points[inner] = self.points[inner] + less * share * (placed - self.points[inner])
            if model.warp.folded(points) < MOST_FOLDED:
                break
        return points

    def _weight(self, view: View) -> np.ndarray:
        """How much of each pixel is drawn: (size, size, 1) float32, 0 beyond the contour and in hair."""
        within = np.zeros((view.size, view.size), np.uint8)
        cv2.fillPoly(within, [np.rint(view.to_output(self.contour)).astype(np.int32)], 1)
        if self.part is not None:
            within &= _face_alone(self.part)
        weight = smooth_step(_depth(within) / (FADE * view.size))
        if self.eyes is not None:
            beside = np.ones_like(within)
            first, last = np.rint(view.to_output(self.eyes)).astype(int)
            beside[max(first, 0) : last] = 0
            weight = np.minimum(weight, smooth_step(_depth(beside) / (BY_GLASSES * view.size)))
        return weight[..., None].astype(np.float32)


def lenders_of(model: Appearance, z: np.ndarray, faces: Faces, rows: np.ndarray, **where: object) -> Lenders:
    """Those in the rows (n,) of `faces`, who have coordinates z (n, k). `where` is the rest of `Lenders`."""
    around = np.stack([points_around(model, model.points(row)) for row in z]).astype(np.float32)
    chosen = replace(faces.only(rows), root=Path())
    return Lenders(chosen, place=place_of(faces.root), around=around, rows=rows, **where)


@dataclass(frozen=True)
class AtHand:
    """What of a dataset's own pictures is at hand: people who lend heads, and who is known; or neither."""

    lenders: Lenders | None = None
    known: Known | None = None

    def lend(
        self,
        model: Appearance,
        z: np.ndarray,
        request: np.ndarray,
        backdrop: Backdrop,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, str]:
        """A face with coordinates z (k,) in a lent head, and the lender's picture.

        Passed over is who is seen to wear glasses that the request (J,) does not want, and whom the face
        would look like. If nobody is left, head and face are drawn, and the lender is "".
        """
        lenders, attributes = self.lenders, self.lenders.faces.attributes
        usual, around = model.regression.usual(request), points_around(model, model.points(z))
        texture, glasses = model.textures(z[None])[0], spectacled(attributes, usual)
        for i in lenders.in_order(wanted_of(attributes, request, usual), around, rng)[:MOST_ASKED]:
            lender = lenders.lender(model, i, PICTURE)
            if lender.spectacled and not glasses:
                continue
            made = lender.with_face(model, z, texture, backdrop)
            if not (self.known and self.known.too_near(made, lenders.faces.people[i])):
                return made, lenders.faces.paths[i]
        return model.pictures(z[None], backdrop, PICTURE)[0], ""

    def origins(self, pictures: np.ndarray, lenders: Sequence[str] | None = None) -> list[dict[str, object]]:
        """What is to be told of pictures (n, size, size, 3 or 4): who lent the head, who is nearest."""
        told = [{} for _ in pictures]
        if lenders:
            told = [{"lender": lender} for lender in lenders]
        if self.known:
            for origin, cosines in zip(told, self.known.cosines(pictures), strict=True):
                origin["nearest"] = str(self.known.paths[cosines.argmax()])
                origin["cosine"] = round(float(cosines.max()), 3)
        return told


def points_around(model: Appearance, points: np.ndarray) -> np.ndarray:
    """Those of the points (P, 2) that lie about the head: outline and hairline, or else about the face."""
    if model.layout.outlined:
        return points[model.layout.inner.stop :]
    return points[cv2.convexHull(model.mean_points, returnPoints=False).ravel()]


def centred(points: np.ndarray) -> np.ndarray:
    """Points (..., Q, 2) less their middle."""
    return points - points.mean(axis=-2, keepdims=True)


def wanted_of(attributes: Attributes, request: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """What a lender must have for a request (J,), which `usual` completes: NaN where it does not matter."""
    asked = np.where(_weights(attributes, ASKED) > 0, request, np.nan)
    return np.where(_weights(attributes, LENT) > 0, usual, asked)


def without_glasses(attributes: Attributes, request: np.ndarray) -> np.ndarray:
    """The same request (J,) for a face without glasses."""
    names = {plain(name): value for name, value in BARE.items()}
    values = [names.get(plain(name), np.nan) for name in attributes.names]
    return np.where(np.isnan(values), request, values)


def spectacled(attributes: Attributes, request: np.ndarray) -> bool:
    """Whether a request (J,) wants glasses, as far as the attributes tell."""
    bare = without_glasses(attributes, request)
    return bool(((bare > 0) != (request > 0))[~np.isnan(request)].any())


def contour_of(model: Appearance, points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Where a face ends along the rays: at the hull of its landmarks, and above at the hairline if known."""
    layout = model.layout
    length = hull_lengths(centre, points[layout.inner])
    if layout.outlined:
        hairline = np.linalg.norm(points[layout.outline.stop :] - centre, axis=1)
        low, high = FOREHEAD
        share = smooth_step((RAY[HAIRLINE, 1] - low) / (high - low))
        length[HAIRLINE] += share * (hairline - length[HAIRLINE])
    return centre + length[:, None] * RAY


def shift_along(weight: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """A difference of colours (size, size, 3) where a face fades in, spread inwards from there."""
    size = len(weight)
    fading = weight * (1 - weight) + np.float32(1e-6)

    def spread(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (0, 0), SPREAD * size)

    return spread(fading * difference) / spread(fading)[..., None]


def _weights(attributes: Attributes, table: dict[str, int]) -> np.ndarray:
    """What a table says of each attribute, 0 if nothing: (J,)."""
    known = {plain(name): weight for name, weight in table.items()}
    return np.array([known.get(plain(name), 0) for name in attributes.names])


def _depth(within: np.ndarray) -> np.ndarray:
    """How far pixels (size, size) uint8 that are not 0 lie from those that are."""
    return cv2.distanceTransform(np.pad(within, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]


def _face_alone(part: np.ndarray) -> np.ndarray:
    """Where skin and features are seen (size, size) uint8. Small slips of the masks within count, too."""
    hidden = (part != FACE).astype(np.uint8)
    count, label = cv2.connectedComponents(hidden)
    edge = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])
    holes = [k for k in range(1, count) if k not in edge and (part[label == k] != GLASSES).mean() > 0.5]
    return (np.isin(label, holes) | (hidden == 0)).astype(np.uint8)


def _without_background(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """A picture whose half transparent pixels have the colour of the head nearby, not of what was behind."""
    solid = (matte > 0.95).astype(np.float32)
    deviation = 0.015 * len(picture)
    near = cv2.GaussianBlur(picture * solid, (0, 0), deviation)
    count = cv2.GaussianBlur(solid, (0, 0), deviation)[..., None]
    nearby = np.where(count > 0.02, near / np.maximum(count, 0.02), picture)
    return picture * matte + nearby * (1 - matte)
