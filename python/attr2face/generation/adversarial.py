"""Training of the learned generator by two of Caffe's solvers in turn. The discriminator's joins later.

The generator's linear part is fitted first. Then three quarters of a batch are codes of training pictures,
which the generator turns back into the pictures: activations, or what the cGMM knows of them. The others are
drawn from the cGMM for the attributes of training people, as targets of requests will be. These have no
pictures, and are held to the linear part's where they are coarse. The discriminator sees pictures of all
codes beside real ones. What faces are made with is a running mean of the generator's weights.

A generator that follows a discriminator draws the same wrong detail into all faces, another one every few
hundred iterations: an eye that is too dark, a line along the nose. So what pictures have too much, pixel by
pixel, is remembered over some iterations and taken away (`generation.shared`): its product with the pictures
is a loss, `shared`. Those of images have originals, those of drawn codes the linear part's pictures.

All that is random in an iteration depends on its number, so that a resumed training ends as an uninterrupted
one.
"""

import json
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from attr2face.files import atomic_write, require_space, write_json
from attr2face.generation.batches import BATCH, IMAGES, Batch, Batches, Material
from attr2face.generation.codes import load_generator
from attr2face.generation.linear import fit_linear, halved
from attr2face.generation.monitor import Monitor, check_losses, write_losses
from attr2face.generation.shared import SharedErrors
from attr2face.network import generator as nets
from attr2face.network import prototxt
from attr2face.network.solver import Training as Solving
from attr2face.network.weights import load, unfilled, write_weights
from attr2face.pycaffe import Solver, caffe
from attr2face.settings import LearnedGenerator

# The generator's falls to zero, so that the discriminator has the last word on what all faces share.
RATE, DISCRIMINATOR_RATE = 1e-3, 3e-4
# Of the losses, those of activations relative to the activations' squared norm.
WEIGHTS = {
    "pixels": 1.0,
    "conv3_3": 0.15,
    "conv5_3": 0.02,
    "code": 0.02,
    "anchor": 0.5,
    "shared": 5.0,
    "d_conv2": 0.25,
    "d_conv3": 0.25,
}
ALONE = 0.15  # share of the iterations before the discriminator joins
REMEMBERED = 0.999  # of the running mean of the weights, in an iteration
SHARED = 8  # first coordinates of the linear part that shared errors may depend on
LINEAR_IMAGES = 6000  # that the linear part is fitted to, or twice the training images
MEASURED = 10 * IMAGES  # pictures that norms of activations are averaged over
# Batches that the statistics of batch normalisation are taken from, for the running mean of the weights.
CALIBRATING = 8
DISPLAY, SNAPSHOT, SHEET_SECONDS = 20, 500, 60
OUTPUTS = {"weights.caffemodel", "losses.csv", "sheet.png"}


def train_generator(
    material: Material, settings: LearnedGenerator, seed: int, card: int | None, out: Path
) -> None:
    """Train to the end; write `weights.caffemodel`, `losses.csv` and `sheet.png` into the folder `out`.

    An interrupted training continues from its newest snapshot.

    Raises
    ------
    UserError
        If a loss is not finite, the discriminator wins, the faces collapse into one, or the disk is full.
    """
    if not (out / "weights.caffemodel").exists():
        _train(
            Training(material, settings, seed, card, out),
            settings.generator_iterations,
            Monitor(material, seed, out),
        )
    (out / "snapshot.json").unlink(missing_ok=True)
    for path in out.iterdir():
        if path.name not in OUTPUTS:
            path.unlink()


def _train(training: "Training", total: int, monitor: Monitor) -> None:
    print(f"faces on the way: {training.out / 'sheet.png'}")
    shown = time.monotonic()
    with tqdm(
        total=total * BATCH,
        initial=training.iteration * BATCH,
        desc="generator",
        unit=" images",
        smoothing=0.1,
    ) as bar:
        while training.iteration < total:
            steps = min(DISPLAY, SNAPSHOT - training.iteration % SNAPSHOT, total - training.iteration)
            losses = training.display(steps)
            bar.update(steps * BATCH)
            bar.set_postfix({name: f"{value:.2f}" for name, value in losses.items()})
            if training.iteration % SNAPSHOT == 0:
                monitor.check_variety(training.faces(monitor.pictures, monitor.codes), training.iteration)
                training.snapshot()
            if time.monotonic() - shown > SHEET_SECONDS:
                monitor.write_sheet(training.faces(monitor.pictures, monitor.codes))
                shown = time.monotonic()
    faces = training.faces(monitor.pictures, monitor.codes)
    monitor.check_variety(faces, training.iteration)
    monitor.write_sheet(faces)
    training.write()


class Training:
    """Two solvers, the net that activations are compared in, and the running mean of the generator's weights.

    Attributes
    ----------
    iteration : int
        How many are done.
    """

    def __init__(
        self, material: Material, settings: LearnedGenerator, seed: int, card: int | None, out: Path
    ) -> None:
        self.material, self.settings = material, settings
        self.seed, self.card, self.out = seed, card, out
        self.layer, self.model = material.mixture.layer, material.database.model
        self.batches = Batches(material, seed)
        self.iteration, self.won, self.history = 0, 0, []
        self.generator = self._solver(
            "generator", nets.generator_losses(self.model, self.layer, BATCH), RATE, "poly"
        )
        self.discriminator = self._solver(
            "discriminator", nets.discriminator(self.model, 2 * BATCH), DISCRIMINATOR_RATE, "fixed"
        )
        net, judged = self.generator.net, self.discriminator.net
        net.copy_from(str(material.weights))
        nets.fill_constants(net)
        net.share_with(judged)
        net.blobs["real"].data[...] = 1
        judged.blobs["d_real"].data[:BATCH], judged.blobs["d_real"].data[BATCH:] = 1, 0
        self.features = load(
            prototxt.generation(self.model, nets.deepest_feature(self.model, self.layer), IMAGES),
            material.weights,
        )
        self._fit_linear()
        self.names = list(unfilled(nets.generator(self.model, self.layer)).params)
        self.mean = {name: [blob.data.copy() for blob in net.params[name]] for name in self.names}
        self.power, deviations = self._measure()
        self.shared_errors = {
            group: SharedErrors(deviations, net.blobs["pictures"].data.shape[1:])
            for group in ("images", "drawn")
        }
        self._restore()

    def _solver(self, name: str, net: str, rate: float, policy: str) -> Solver:
        (self.out / f"{name}.prototxt").write_text(net)
        schedule = Solving(net, "", rate, self.settings.generator_iterations, BATCH, self.seed)
        path = self.out / f"{name}_solver.prototxt"
        path.write_text(
            nets.solver(self.out / f"{name}.prototxt", self.out / name, schedule, policy, self.card)
        )
        return caffe.get_solver(str(path))

    def _measure(self) -> tuple[dict[str, float], np.ndarray]:
        """Mean squared norms of activations, which their losses are divided by, and standard deviations of
        coordinates (SHARED,).
        """
        database, compared = self.material.database, nets.compared_features(self.model, self.layer)
        rows = np.random.default_rng(self.seed).choice(self.batches.rows, MEASURED)
        pictures = database.preprocessing.to_blob(np.stack(list(database.crops(rows))))
        power, coordinates = dict.fromkeys((*compared, self.layer), 0.0), []
        for first in range(0, MEASURED, IMAGES):
            coordinates.append(self._coordinates(self._read(pictures[first : first + IMAGES])))
            for name in power:
                power[name] += float(np.square(self.features.blobs[name].data).sum()) / MEASURED
        power = {name: max(power[name], 1e-12) for name in compared} | {"code": max(power[self.layer], 1e-12)}
        return power, np.maximum(np.concatenate(coordinates).std(axis=0), 1e-12)

    def _coordinates(self, codes: np.ndarray) -> np.ndarray:
        """The first coordinates of the linear part of codes (n, ...): (n, SHARED), or (n, 0) where there is
        none.
        """
        if not nets.linear_shape(self.model, self.layer):
            return np.zeros((len(codes), 0), np.float32)
        weights, biases = (blob.data[:SHARED] for blob in self.generator.net.params["g_linear1"])
        return codes.reshape(len(codes), -1) @ weights.T + biases

    def _fit_linear(self) -> None:
        """Fill the generator's linear part, if it has one and no snapshot holds it already."""
        shape = nets.linear_shape(self.model, self.layer)
        if not shape or (self.out / "snapshot.json").exists():
            return
        rng = np.random.default_rng([self.seed, 0, 2])
        batches = min(LINEAR_IMAGES, 2 * len(self.batches.rows)) // IMAGES + 1
        codes = np.empty((batches, IMAGES, *self.material.mixture.shape), np.float32)
        small = np.empty((batches, IMAGES, *shape), np.float32)
        for i in tqdm(range(batches), "linear part", unit_scale=IMAGES, unit=" images"):
            _, pictures = self.batches.pictures(IMAGES, rng)
            codes[i] = self._read(pictures)
            small[i] = halved(pictures) / (nets.UNIT * self.model.scale)
        codes, small = (x.reshape(batches * IMAGES, -1) for x in (codes, small))
        for name, filled in zip(
            ("g_linear1", "g_linear2"), fit_linear(codes, small, nets.COMPONENTS, rng), strict=True
        ):
            for blob, values in zip(self.generator.net.params[name], filled, strict=True):
                blob.data[...] = values

    def _read(self, pictures: np.ndarray) -> np.ndarray:
        """The activations of `IMAGES` pictures at the generator's layer, by the finetuned net."""
        self.features.params["canvas"][0].data[...] = pictures
        self.features.forward()
        return self.features.blobs[self.layer].data

    def codes(self, batch: Batch) -> np.ndarray:
        """Codes of the pictures of a batch that are to be made again, and drawn ones: (BATCH, ...)."""
        return self.batches.codes(batch, self._read(batch.pictures[:IMAGES]))

    @property
    def adversarial(self) -> bool:
        """Whether the discriminator has joined."""
        return (
            self.settings.adversarial_weight > 0
            and self.iteration >= ALONE * self.settings.generator_iterations
        )

    def display(self, steps: int) -> dict[str, float]:
        """Mean losses of some iterations, which are written down.

        Raises
        ------
        UserError
            If one is not finite, or the discriminator has won.
        """
        rows = [self.step() for _ in range(steps)]
        losses = {name: float(np.mean([row[name] for row in rows if name in row])) for name in rows[-1]}
        self.won = self.won + steps if check_losses(losses, self.iteration, self.won) else 0
        self.history.append({"iteration": self.iteration, **losses})
        return losses

    def step(self) -> dict[str, float]:
        """One iteration of both solvers, and its losses; those of activations are relative to the
        activations' squared norm.
        """
        batch = self.batches.at(self.iteration)
        caffe.set_random_seed((self.seed * 1_000_003 + self.iteration) % 2**31)
        losses = self._step_of_generator(batch)
        if self.adversarial:
            losses |= self._step_of_discriminator(batch)
        self._remember()
        self.iteration += 1
        return losses

    def _step_of_generator(self, batch: Batch) -> dict[str, float]:
        blobs = self.generator.net.blobs
        codes = self.codes(batch)
        blobs["code"].data[...] = codes
        blobs["noise"].data[...] = batch.noise
        blobs["originals"].data[...] = batch.pictures[:IMAGES]
        coordinates = self._coordinates(codes)
        blobs["shared_error"].data[:IMAGES] = self.shared_errors["images"].expected(coordinates[:IMAGES])
        blobs["shared_error"].data[IMAGES:] = self.shared_errors["drawn"].expected(coordinates[IMAGES:])
        nets.shift(self.generator.net, *batch.shift)
        blobs["wanted_code"].data[:IMAGES] = self._read(nets.shifted(batch.pictures[:IMAGES], *batch.shift))
        blobs["wanted_code"].data[IMAGES:] = batch.drawn
        for name in nets.compared_features(self.model, self.layer):
            blobs[f"original_{name}"].data[...] = self.features.blobs[name].data
        weights = self._weights()
        # Caffe's distance of activations is half of a squared one. The diff of a loss is its weight.
        unit = {name: 2 / self.power[name] if name in self.power else 1.0 for name in weights}
        for name, weight in weights.items():
            blobs[f"loss_{name}"].diff[...] = weight * unit[name]
        self.generator.step(1)
        self._remember_errors(coordinates)
        return {name: float(blobs[f"loss_{name}"].data) * unit[name] for name in weights}

    def _weights(self) -> dict[str, float]:
        """Weights of the losses. Those of the discriminator are 0 before it joins."""
        compared = {name: WEIGHTS["conv3_3"] for name in nets.compared_features(self.model, self.layer)}
        weights = (
            compared
            | WEIGHTS
            | {
                "adversarial": self.settings.adversarial_weight,
                "code": WEIGHTS.get(self.layer, WEIGHTS["code"]),
            }
        )
        if not self.adversarial:
            weights |= dict.fromkeys(("adversarial", *nets.COMPARED), 0.0)
        return {
            name: weight for name, weight in weights.items() if f"loss_{name}" in self.generator.net.blobs
        }

    def _remember_errors(self, coordinates: np.ndarray) -> None:
        """Remember what pictures of images have more than the originals, and drawn ones more than the linear
        part's.
        """
        blobs, unit = self.generator.net.blobs, nets.UNIT * self.model.scale
        errors = (blobs["of_images"].data - blobs["originals"].data) / unit
        self.shared_errors["images"].remember(coordinates[:IMAGES], errors)
        if nets.linear_shape(self.model, self.layer):
            # The linear part is dimmed where it ends.
            inner = np.s_[:, :, 1:-1, 1:-1]
            more = blobs["drawn"].data[inner] / unit - blobs["g_linear_doubled"].data[IMAGES:][inner]
            self.shared_errors["drawn"].remember(
                coordinates[IMAGES:], np.pad(more, ((0, 0), (0, 0), (1, 1), (1, 1)))
            )

    def _step_of_discriminator(self, batch: Batch) -> dict[str, float]:
        blobs = self.discriminator.net.blobs
        for half, pictures in enumerate((batch.pictures, self.generator.net.blobs["pictures"].data)):
            blobs["d_input"].data[half * BATCH : (half + 1) * BATCH] = nets.shifted(pictures, *batch.shift)
        self.discriminator.step(1)
        accuracy = ((blobs["d_logits"].data > 0) == (blobs["d_real"].data > 0)).mean()
        return {"discriminator": 2 * float(blobs["loss_discriminator"].data), "accuracy": float(accuracy)}

    def _remember(self) -> None:
        """Move the running mean, which forgets its first iterations faster."""
        share = min(REMEMBERED, (1 + self.iteration) / (10 + self.iteration))
        for name in self.names:
            for mean, blob in zip(self.mean[name], self.generator.net.params[name], strict=True):
                mean += np.float32(1 - share) * (blob.data - mean)

    def faces(self, pictures: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Pictures by the running mean, from the activations of up to `IMAGES` pictures and from codes: (n,
        3, crop, crop) float32.
        """
        read = self._read(np.resize(pictures, (IMAGES, *pictures.shape[1:])))[: len(pictures)]
        codes = np.concatenate([read, codes])
        net = self.averaged(len(codes))
        net.blobs["code"].data[...] = codes
        net.blobs["noise"].data[...] = np.random.default_rng(self.seed).standard_normal(
            net.blobs["noise"].data.shape
        )
        return np.clip(net.forward()["pictures"], *self.material.database.preprocessing.bounds)

    def averaged(self, n: int) -> caffe.Net:
        """The generator for n pictures with the running mean of the weights, and batch statistics that fit
        them.
        """
        net = unfilled(nets.generator(self.model, self.layer, BATCH), caffe.TRAIN)
        for name in self.names:
            for blob, mean in zip(net.params[name], self.mean[name], strict=True):
                blob.data[...] = 0 if name.endswith("_bn") else mean
        for batch in map(self.batches.at, range(CALIBRATING)):
            net.blobs["code"].data[...] = self.codes(batch)
            net.blobs["noise"].data[...] = batch.noise
            net.forward()
        averaged = load_generator(self.model, self.layer, n)
        averaged.share_with(net)
        return averaged

    def snapshot(self) -> None:
        """Write all that the training continues from, and then forget older snapshots."""
        sizes = [
            blob.count
            for net in (self.generator.net, self.discriminator.net)
            for blobs in net.params.values()
            for blob in blobs
        ]
        require_space(self.out, 16 * sum(sizes))
        self.generator.snapshot()
        if self.discriminator.iter:
            self.discriminator.snapshot()
        arrays = {f"{name} {k}": mean for name in self.names for k, mean in enumerate(self.mean[name])}
        for group, shared in self.shared_errors.items():
            arrays |= {f"{name} of {group}": values for name, values in vars(shared).items()}
        np.savez(self.out / f"mean_iter_{self.iteration}.npz", **arrays)
        state = {
            "iteration": self.iteration,
            "discriminator": self.discriminator.iter,
            "won": self.won,
            "history": self.history,
        }
        write_json(self.out / "snapshot.json", state)
        newest = {
            f"{name}_iter_{solver.iter}"
            for name, solver in (("generator", self.generator), ("discriminator", self.discriminator))
        }
        for path in self.out.glob("*_iter_*"):
            if path.stem not in newest | {f"mean_iter_{self.iteration}"}:
                path.unlink()

    def _restore(self) -> None:
        path = self.out / "snapshot.json"
        if not path.exists():
            return
        state = json.loads(path.read_text())
        self.iteration, self.won, self.history = state["iteration"], state["won"], state["history"]
        self.generator.restore(str(self.out / f"generator_iter_{self.iteration}.solverstate"))
        if state["discriminator"]:
            self.discriminator.restore(
                str(self.out / f"discriminator_iter_{state['discriminator']}.solverstate")
            )
        with np.load(self.out / f"mean_iter_{self.iteration}.npz") as stored:
            self.mean = {
                name: [stored[f"{name} {k}"] for k in range(len(self.mean[name]))] for name in self.names
            }
            for group, shared in self.shared_errors.items():
                for name in vars(shared):
                    setattr(shared, name, stored[f"{name} of {group}"])

    def write(self) -> None:
        """Write the losses, and then the running mean of the weights."""
        write_losses(self.history, self.out / "losses.csv")
        whole = self.out / "trained.caffemodel"
        require_space(self.out, 8 * sum(mean.size for means in self.mean.values() for mean in means))
        self.averaged(1).save(str(whole))
        with atomic_write(self.out / "weights.caffemodel") as temporary:
            write_weights(whole, temporary)
