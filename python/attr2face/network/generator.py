"""The learned generator and its discriminator, written with NetSpec like the nets of `prototxt`.

The generator turns activations of one layer, the code, back into a picture (Dosovitskiy and Brox 2016), by
convolutions at each of the VGG's resolutions. Between them the side doubles by linear interpolation, as a
deconvolution that learns leaves a grid.
"""

from pathlib import Path

import numpy as np

from attr2face.models import CONVOLUTIONS, MODELS, VGG, Model
from attr2face.network.layers import FILLERS, Learning, add_trunk
from attr2face.network.prototxt import feature_shape
from attr2face.network.solver import Training
from attr2face.pycaffe import caffe, params
from attr2face.pycaffe import layers as L

# Channels at the picture's resolution, at half of it, and so on down to the resolution of conv5.
WIDTHS = {"mini": (16, 32, 64, 96, 128), "vgg_face": (32, 64, 128, 256, 512)}
TWICE = 2  # the depth with two convolutions
COMPONENTS, LINEAR = 128, 1  # coordinates of the linear part, and the depth at whose resolution it ends
DISCRIMINATOR = (16, 32, 64, 128)
NOISE_CHANNELS = 4
LEAK = 0.2
FEATURES = ("conv3_3", "conv5_3")  # layers in whose activations a picture should be like the original
UNIT = 64  # grey levels: what generator and discriminator count in, whatever the model's scale
MOVED = ("images", "judged")  # pictures that are moved
SHIFT = 4  # pixels; moves of -4 to 3 reach every place in the 8 x 8 pixels that three poolings join
# Standard deviation of what is added to the pictures that the discriminator reads, in those units.
PICTURE_NOISE = 0.1
PER_LOGIT = {"normalization": params.Loss.VALID}
# By how much pictures of drawn codes are reduced before they are compared with the linear part's.
ANCHORED = 2
# Layers of the discriminator in which a picture should be like the original.
COMPARED = ("d_conv2", "d_conv3")
LEARNS, FROZEN = [{"lr_mult": 1, "decay_mult": 0}] * 2, [{"lr_mult": 0, "decay_mult": 0}] * 2


def first_depth(model: Model, layer: str) -> int:
    """How many times the picture is halved down to the resolution at which the generator starts for codes of
    `layer`.
    """
    return _sides(model).index(_side_of(model, layer)) if is_map(model, layer) else len(CONVOLUTIONS) - 1


def is_map(model: Model, layer: str) -> bool:
    """Whether codes of `layer` are maps of one of the generator's resolutions, and need not be unfolded into
    some.
    """
    return _side_of(model, layer) in _sides(model)


def _side_of(model: Model, layer: str) -> int:
    """Side of a layer's maps; 0 if it has none that are square."""
    shape = feature_shape(model, layer)
    return shape[1] if len(shape) == 3 and shape[1] == shape[2] else 0


def linear_shape(model: Model, layer: str) -> tuple[int, int, int] | None:
    """Shape of the linear part's picture. Codes of layers before conv5 have none: they are many numbers, and
    near the pixels.

    Pictures with an odd side have none, either, as they cannot be halved.
    """
    side = _sides(model)[LINEAR]
    return (
        (3, side, side)
        if first_depth(model, layer) == len(CONVOLUTIONS) - 1 and model.crop % 2 == 0
        else None
    )


def images_of(batch: int) -> int:
    """How many codes of a training batch, the first ones, are of images; the others are drawn from the cGMM."""
    return batch * 3 // 4


def noise_shape(model: Model, layer: str) -> tuple[int, int, int]:
    """Shape of the noise for one picture: it tells the generator what the code does not."""
    side = _sides(model)[first_depth(model, layer)]
    return (NOISE_CHANNELS, side, side)


def _widths(model: Model) -> tuple[int, ...]:
    """Channels at each resolution: those of mini for small pictures, those of VGG-Face for others."""
    return WIDTHS["mini" if model.single_thread else "vgg_face"]


def _sides(model: Model) -> list[int]:
    """Sides of the picture, halved again and again; rounded up, as pooling does."""
    return [-(-model.crop // 2**depth) for depth in range(len(CONVOLUTIONS))]


def _leaky(n: caffe.NetSpec, top: caffe.net_spec.Top, name: str) -> caffe.net_spec.Top:
    n[f"{name}_relu"] = L.ReLU(top, in_place=True, negative_slope=LEAK)
    return n[f"{name}_relu"]


def _normalised(n: caffe.NetSpec, top: caffe.net_spec.Top, name: str) -> caffe.net_spec.Top:
    constant = [{"lr_mult": 0, "decay_mult": 0}] * 3
    top = n[f"{name}_bn"] = L.BatchNorm(
        top, in_place=True, param=constant, batch_norm_param={"moving_average_fraction": 0.99}
    )
    top = n[f"{name}_scale"] = L.Scale(top, in_place=True, param=LEARNS, scale_param={"bias_term": True})
    return _leaky(n, top, name)


def _doubled(
    n: caffe.NetSpec, top: caffe.net_spec.Top, name: str, channels: int, odd: bool
) -> caffe.net_spec.Top:
    """Twice the side, less one where it is `odd`, by linear interpolation. The layer's weights have to be
    filled (`fill_constants`).
    """
    convolution = {
        "num_output": channels,
        "group": channels,
        "kernel_size": 3 if odd else 4,
        "stride": 2,
        "pad": 1,
        "bias_term": False,
    }
    n[name] = L.Deconvolution(top, param=FROZEN[:1], convolution_param=convolution)
    return n[name]


def generator_body(
    n: caffe.NetSpec, code: caffe.net_spec.Top, noise: caffe.net_spec.Top, model: Model, layer: str
) -> caffe.net_spec.Top:
    """Add the layers from code and noise to pictures, in the units of the net's input; return the pictures.

    What the linear part says (`generation.linear`) is read by the convolutions, and added to what they say.
    """
    widths, sides, depth = _widths(model), _sides(model), first_depth(model, layer)
    shape_of_linear = linear_shape(model, layer)
    linear = _linear(n, code, shape_of_linear) if shape_of_linear else None
    if not is_map(model, layer):
        shape = {"dim": [0, widths[depth] // 2, sides[depth], sides[depth]]}
        units = shape["dim"][1] * sides[depth] ** 2
        n.g_unfolded = L.InnerProduct(code, num_output=units, param=LEARNS, **FILLERS)
        code = n.g_code = L.Reshape(n.g_unfolded, shape=shape)
    top = n.g_joined = L.Concat(code, noise, axis=1)
    for d in range(depth, -1, -1):
        if linear and d == LINEAR:
            top = n.g_with_linear = L.Concat(top, linear, axis=1)
        for name in (f"g{d}_1", f"g{d}_2")[: 2 if d == TWICE else 1]:
            n[name] = L.Convolution(
                top,
                num_output=widths[d],
                kernel_size=3,
                pad=1,
                bias_term=False,
                param=LEARNS[:1],
                weight_filler=FILLERS["weight_filler"],
            )
            top = _normalised(n, n[name], name)
        if d:
            top = _doubled(n, top, f"g{d}_doubled", widths[d], odd=sides[d - 1] % 2 == 1)
    n.g_pictures = L.Convolution(
        top,
        num_output=3,
        kernel_size=3,
        pad=1,
        param=LEARNS,
        weight_filler={"type": "gaussian", "std": 0.02},
        bias_filler={"type": "constant"},
    )
    top = n.g_pictures
    if linear:
        top = n.g_sum = L.Eltwise(
            top, _doubled(n, linear, "g_linear_doubled", 3, odd=False), operation=params.Eltwise.SUM
        )
    n.pictures = L.Power(top, scale=UNIT * model.scale)
    return n.pictures


def _linear(n: caffe.NetSpec, code: caffe.net_spec.Top, shape: tuple[int, int, int]) -> caffe.net_spec.Top:
    """Two linear layers from codes to small pictures. Their weights have to be filled."""
    n.g_linear1 = L.InnerProduct(code, num_output=COMPONENTS, param=FROZEN)
    n.g_linear2 = L.InnerProduct(n.g_linear1, num_output=int(np.prod(shape)), param=FROZEN)
    n.g_linear = L.Reshape(n.g_linear2, shape={"dim": [0, *shape]})
    return n.g_linear


def discriminator_body(
    n: caffe.NetSpec, pictures: caffe.net_spec.Top, batch: int, model: Model, learns: bool
) -> caffe.net_spec.Top:
    """Add the layers from noisy pictures to a map of logits, positive where a picture looks real; return the
    map.
    """
    param = LEARNS if learns else FROZEN
    filler = {"type": "gaussian", "std": PICTURE_NOISE}
    n.d_noise = L.DummyData(shape={"dim": [batch, 3, model.crop, model.crop]}, data_filler=filler)
    n.d_scaled = L.Power(pictures, scale=1 / (UNIT * model.scale))
    top = n.d_pictures = L.Eltwise(n.d_scaled, n.d_noise, operation=params.Eltwise.SUM)
    for i, width in enumerate(DISCRIMINATOR, 1):
        n[f"d_conv{i}"] = L.Convolution(
            top, num_output=width, kernel_size=4, stride=2, pad=1, param=param, **FILLERS
        )
        top = _leaky(n, n[f"d_conv{i}"], f"d_conv{i}")
    n.d_logits = L.Convolution(top, num_output=1, kernel_size=3, pad=1, param=param, **FILLERS)
    return n.d_logits


def generator(model: Model, layer: str, batch: int = 1) -> str:
    """The generator as prototxt text: inputs `code` and `noise`, output `pictures`. Backward gives the
    gradient of the code.
    """
    n = caffe.NetSpec()
    n.code = L.Input(shape={"dim": [batch, *feature_shape(model, layer)]})
    n.noise = L.Input(shape={"dim": [batch, *noise_shape(model, layer)]})
    generator_body(n, n.code, n.noise, model, layer)
    return f'name: "{model.name}_generator"\nforce_backward: true\n{n.to_proto()}'


def generator_losses(model: Model, layer: str, batch: int) -> str:
    """The net that trains the generator, as prototxt text. The layers of `model` and of the discriminator are
    frozen in it.

    The first codes are of images, `originals`, of which `loss_pixels` is the mean absolute difference and
    `loss_<layer>` the squared one of activations; the others are drawn from the cGMM. The activations of all
    pictures at `layer` should be `wanted_code` (`loss_code`), and all should look real (`loss_adversarial`).
    `loss_anchor` holds pictures of drawn codes to the linear part, `loss_shared` takes away the
    `shared_error` of each picture. Pictures are moved by some pixels before activations are compared and
    before the discriminator reads them (`shift`): pooling and strides prefer some pixels to others, and would
    draw a grid.
    """
    n, images = caffe.NetSpec(), images_of(batch)
    n.code = L.Input(shape={"dim": [batch, *feature_shape(model, layer)]})
    n.noise = L.Input(shape={"dim": [batch, *noise_shape(model, layer)]})
    n.originals = L.Input(shape={"dim": [images, 3, model.crop, model.crop]})
    n.real = L.Input(shape={"dim": list(_logits_shape(model, batch))})
    pictures = generator_body(n, n.code, n.noise, model, layer)
    n.of_images, n.drawn = L.Slice(pictures, ntop=2, axis=0, slice_point=images)
    n.compared = L.Concat(_moved(n, n.of_images, "images"), n.drawn, axis=0)
    add_trunk(n, n.compared, model, Learning(freeze="heads"), until=deepest_feature(model, layer))
    _mean_distance(n, "pixels", n.of_images, n.originals, 1 / (UNIT * model.scale))
    n.shared_error = L.Input(shape={"dim": [batch, 3, model.crop, model.crop]})
    n.shared = L.Eltwise(pictures, n.shared_error, operation=params.Eltwise.PROD)
    n.loss_shared = L.Reduction(
        n.shared, operation=params.Reduction.MEAN, coeff=1 / (UNIT * model.scale), loss_weight=1
    )
    for name in compared_features(model, layer):
        n[f"original_{name}"] = L.Input(shape={"dim": [images, *feature_shape(model, name)]})
        n[f"{name}_of_images"], n[f"{name}_drawn"] = L.Slice(n[name], ntop=2, axis=0, slice_point=images)
        n[f"{name}_silence"] = L.Silence(n[f"{name}_drawn"], ntop=0)
        n[f"loss_{name}"] = L.EuclideanLoss(n[f"{name}_of_images"], n[f"original_{name}"])
    if linear_shape(model, layer):
        _anchor_loss(n, model, images)
    n.wanted_code = L.Input(shape={"dim": [batch, *feature_shape(model, layer)]})
    n.loss_code = L.EuclideanLoss(n[layer], n.wanted_code)
    _adversarial_losses(n, pictures, model, batch)
    return f'name: "{model.name}_generator"\n{n.to_proto()}'


def _moved(n: caffe.NetSpec, pictures: caffe.net_spec.Top, name: str) -> caffe.net_spec.Top:
    """Pictures, moved by what `shift` says."""
    moving = {"num_output": 3, "group": 3, "bias_term": False}
    down = moving | {"kernel_h": 2 * SHIFT + 1, "kernel_w": 1, "pad_h": SHIFT, "pad_w": 0}
    right = moving | {"kernel_h": 1, "kernel_w": 2 * SHIFT + 1, "pad_h": 0, "pad_w": SHIFT}
    n[f"{name}_down"] = L.Convolution(pictures, param=FROZEN[:1], convolution_param=down)
    n[f"{name}_right"] = L.Convolution(n[f"{name}_down"], param=FROZEN[:1], convolution_param=right)
    return n[f"{name}_right"]


def _anchor_loss(n: caffe.NetSpec, model: Model, images: int) -> None:
    """Add `loss_anchor`, the mean absolute difference between pictures of drawn codes and the linear part's,
    both reduced to `ANCHORED`.

    No original holds them, and what the discriminator does not see would drift: colours, and eyes that all
    faces share.
    """
    n.linear_of_images, n.linear_of_drawn = L.Slice(n.g_linear, ntop=2, axis=0, slice_point=images)
    n.linear_silence = L.Silence(n.linear_of_images, ntop=0)
    n.drawn_reduced = _reduced(n.drawn, ANCHORED)
    n.linear_reduced = _reduced(n.linear_of_drawn, ANCHORED // 2**LINEAR)
    n.anchor = L.Power(n.drawn_reduced, scale=1 / (UNIT * model.scale))
    _mean_distance(n, "anchor", n.anchor, n.linear_reduced)


def _reduced(top: caffe.net_spec.Top, factor: int) -> caffe.net_spec.Top:
    """Pictures at 1 / `factor` of the side: means over blocks of pixels."""
    return L.Pooling(top, pool=params.Pooling.AVE, kernel_size=factor, stride=factor)


def _adversarial_losses(n: caffe.NetSpec, pictures: caffe.net_spec.Top, model: Model, batch: int) -> None:
    """Add the discriminator, which reads the pictures and the originals, and what it says of the pictures.

    Its activations measure how like an original a picture is where it looks (Larsen et al. 2016).
    """
    images = images_of(batch)
    n.judged = L.Concat(pictures, n.originals, axis=0)
    logits = discriminator_body(n, _moved(n, n.judged, "judged"), batch + images, model, learns=False)
    n.logits, n.logits_of_originals = L.Slice(logits, ntop=2, axis=0, slice_point=batch)
    n.logits_silence = L.Silence(n.logits_of_originals, ntop=0)
    n.loss_adversarial = L.SigmoidCrossEntropyLoss(n.logits, n.real, loss_param=PER_LOGIT)
    for name in COMPARED:
        tops = L.Slice(n[f"{name}_relu"], ntop=3, axis=0, slice_point=[images, batch])
        n[f"{name}_of_images"], n[f"{name}_of_drawn"], n[f"{name}_of_originals"] = tops
        n[f"{name}_silence"] = L.Silence(n[f"{name}_of_drawn"], ntop=0)
        _mean_distance(n, name, n[f"{name}_of_images"], n[f"{name}_of_originals"])


def _mean_distance(
    n: caffe.NetSpec, name: str, one: caffe.net_spec.Top, other: caffe.net_spec.Top, scale: float = 1
) -> None:
    """Add `loss_<name>`, the mean absolute difference of two blobs, times `scale`."""
    n[f"{name}_difference"] = L.Eltwise(one, other, coeff=[1, -1])
    n[f"{name}_distance"] = L.AbsVal(n[f"{name}_difference"])
    n[f"loss_{name}"] = L.Reduction(
        n[f"{name}_distance"], operation=params.Reduction.MEAN, coeff=scale, loss_weight=1
    )


def deepest_feature(model: Model, layer: str) -> str:
    """The last layer in whose activations pictures are compared."""
    return max((layer, *compared_features(model, layer)), key=model.layers.index)


def shift(net: caffe.Net, down: int, right: int) -> None:
    """Let the net of `generator_losses` move pictures by up to `SHIFT` pixels before it or the discriminator
    reads them.
    """
    for name in (
        name for name in net.params if name.startswith(MOVED) and name.endswith(("_down", "_right"))
    ):
        weights = net.params[name][0].data.reshape(3, -1)
        weights[...] = 0
        weights[:, SHIFT - (down if name.endswith("_down") else right)] = 1


def shifted(pictures: np.ndarray, down: int, right: int) -> np.ndarray:
    """Pictures (n, 3, side, side), moved, with zeros where nothing is known."""
    side = pictures.shape[-1]
    padded = np.pad(pictures, ((0, 0), (0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
    return padded[:, :, SHIFT - down : SHIFT - down + side, SHIFT - right : SHIFT - right + side]


def compared_features(model: Model, layer: str) -> tuple[str, ...]:
    """Layers at which images are compared beside the code's own: of a user's net, the last one below it with
    the resolution of conv3_3.
    """
    if isinstance(model, VGG):
        return tuple(name for name in FEATURES if name != layer)
    below = model.layers[: model.layers.index(layer)]
    side = _sides(model)[list(CONVOLUTIONS).index("conv3")]
    return tuple(name for name in below if _side_of(model, name) == side)[-1:]


def _logits_shape(model: Model, batch: int) -> tuple[int, int, int, int]:
    side = model.crop
    for _ in DISCRIMINATOR:
        side = side // 2
    return (batch, 1, side, side)


def discriminator(model: Model, batch: int = 1) -> str:
    """The net that trains the discriminator, as prototxt text: `d_input` are pictures, `real` is 1 for real
    ones and 0 for others.
    """
    n = caffe.NetSpec()
    n.d_input = L.Input(shape={"dim": [batch, 3, model.crop, model.crop]})
    n.d_real = L.Input(shape={"dim": list(_logits_shape(model, batch))})
    logits = discriminator_body(n, n.d_input, batch, model, learns=True)
    n.loss_discriminator = L.SigmoidCrossEntropyLoss(logits, n.d_real, loss_param=PER_LOGIT)
    return f'name: "{model.name}_discriminator"\n{n.to_proto()}'


def solver(net: Path, prefix: Path, schedule: Training, policy: str, card: int | None) -> str:
    """A solver's prototxt text: Adam, with little memory, as adversaries move; `policy` "poly" is a rate that
    falls linearly to zero.
    """
    mode = "CPU" if card is None else f"GPU\ndevice_id: {card}"
    return (
        f'net: "{net}"\nbase_lr: {schedule.rate}\ntype: "Adam"\nlr_policy: "{policy}"\npower: 1\nmomentum: 0.5\nmomentum2: 0.99\n'
        f'max_iter: {schedule.iterations}\ndisplay: 0\nsnapshot_prefix: "{prefix}"\nrandom_seed: {schedule.seed}\nsolver_mode: {mode}\n'
    )


def fill_constants(net: caffe.Net) -> None:
    """Give the layers that double the side the weights of linear interpolation."""
    for name in (name for name in net.params if name.startswith("g") and name.endswith("_doubled")):
        weights = net.params[name][0].data
        line = np.array({3: [0.5, 1, 0.5], 4: [0.25, 0.75, 0.75, 0.25]}[weights.shape[-1]])
        weights[...] = np.outer(line, line)


def write_prototxts(folder: Path) -> None:
    """Write the committed prototxt files of the generator and the discriminator at the default layer."""
    for model in MODELS.values():
        (folder / model.name / "generator.prototxt").write_text(generator(model, "conv5_3"))
        (folder / model.name / "discriminator.prototxt").write_text(discriminator(model))
