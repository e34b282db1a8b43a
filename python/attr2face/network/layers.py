"""Layers added to a NetSpec: of a VGG-Face, a user's net, the net among the judges, and heads.

`prototxt` puts them together into nets.
"""

from dataclasses import dataclass

from attr2face.models import CONVOLUTIONS, STAGES, VGG, Model
from attr2face.pycaffe import caffe, params
from attr2face.pycaffe import layers as L

Top = caffe.net_spec.Top
FILLERS = {"weight_filler": {"type": "msra"}, "bias_filler": {"type": "constant"}}


@dataclass(frozen=True)
class Learning:
    """Which layers learn, how fast, and where units are dropped.

    Attributes
    ----------
    freeze : str
        Layers below this stage do not learn.
    rate_decay : float
        Learning rate of a stage over that of the stage above; the heads have the solver's.
    dropout : float
        Ratio after fc6 and fc7.
    dropout_everywhere : bool
        Whether dropout follows the convolutions, too (paper, section 3.1).
    """

    freeze: str = "none"
    rate_decay: float = 1.0
    dropout: float = 0.0
    dropout_everywhere: bool = False

    def rate(self, stage: str, stages: tuple[str, ...] = STAGES) -> float:
        """Factor on the solver's learning rate; 0 for a frozen stage."""
        above = len(stages) - 1 - stages.index(stage)
        return 0 if stages.index(stage) < stages.index(self.freeze) else self.rate_decay**above


ALL_LEARN = Learning()


def add_trunk(
    n: caffe.NetSpec,
    bottom: Top,
    model: Model,
    learning: Learning = ALL_LEARN,
    start: str = "",
    until: str = "heads",
) -> Top:
    """Add the layers from stage `start`, the first without it, to layer `until`; return the last top."""
    if isinstance(model, VGG):
        return _add_vgg_trunk(n, bottom, model, learning, start or "conv1", until)
    from attr2face.network.user_layers import add_user_trunk

    return add_user_trunk(n, bottom, model, learning, start, "" if until == "heads" else until)


def _add_vgg_trunk(
    n: caffe.NetSpec, bottom: Top, model: VGG, learning: Learning, start: str, until: str
) -> Top:
    top, dropout = bottom, {"in_place": True, "dropout_ratio": learning.dropout}
    widths = dict(zip(CONVOLUTIONS, model.widths, strict=False))
    for i in range(STAGES.index(start), len(STAGES)):
        stage, below = STAGES[i], STAGES[i - 1]
        rate = learning.rate(stage)
        if below in ("fc6", "fc7") and learning.dropout:
            top = n[f"drop{below[2:]}"] = L.Dropout(top, **dropout)
        for k in range(1, CONVOLUTIONS.get(stage, 0) + 1):
            name, size = f"{stage}_{k}", {"num_output": widths[stage], "kernel_size": 3, "pad": 1}
            n[name] = L.Convolution(top, **size, param=_rates(rate), **FILLERS)
            top = _activate(n, name, model, rate)
            if name == until:
                return top
            if learning.dropout and learning.dropout_everywhere:
                top = n[f"drop{name[4:]}"] = L.Dropout(top, **dropout)
        if stage in CONVOLUTIONS:
            top = n[f"pool{stage[4:]}"] = L.Pooling(top, pool=params.Pooling.MAX, kernel_size=2, stride=2)
        elif stage != "heads":
            n[stage] = L.InnerProduct(top, num_output=model.widths[-1], param=_rates(rate), **FILLERS)
            top = _activate(n, stage, model, rate)
        if stage == until:
            break
    return top


def add_judge_body(n: caffe.NetSpec, bottom: Top, model: Model) -> Top:
    """Add the net among the judges, unlike a VGG's: wide convolutions of stride 2, no pooling, and fc5."""
    top = bottom
    for i, width in enumerate(model.widths[:-1], 1):
        convolution = {"num_output": width, "kernel_size": 5, "pad": 2, "stride": 2}
        n[f"conv{i}"] = L.Convolution(top, **convolution, param=_rates(1), **FILLERS)
        top = _activate(n, f"conv{i}", model, 1)
    n.fc5 = L.InnerProduct(top, num_output=model.widths[-1], param=_rates(1), **FILLERS)
    return _activate(n, "fc5", model, 1)


def add_head(n: caffe.NetSpec, bottom: Top, name: str, classes: int, rate: float = 1) -> Top:
    """Add the layer of a head's scores, `fc8_<name>`."""
    fillers = FILLERS | {"weight_filler": {"type": "gaussian", "std": 0.01}}
    n[f"fc8_{name}"] = L.InnerProduct(bottom, num_output=classes, param=_rates(rate), **fillers)
    return n[f"fc8_{name}"]


def _rates(rate: float) -> list[dict]:
    """Factors on the learning rate and weight decay of weights and biases; `rate` 0 freezes them."""
    return [{"lr_mult": rate, "decay_mult": int(rate > 0)}, {"lr_mult": 2 * rate, "decay_mult": 0}]


def _activate(n: caffe.NetSpec, name: str, model: Model, rate: float) -> Top:
    """Add the ReLU on top of layer `name`, in place, after batch normalisation where the model has it.

    Caffe normalises by the batch in training and by running means elsewhere; a frozen layer keeps its means.
    """
    top, number = n[name], name.removeprefix("conv").removeprefix("fc")
    if model.batch_norm:
        statistics = {"moving_average_fraction": 0.99} | ({} if rate else {"use_global_stats": True})
        constant = [{"lr_mult": 0, "decay_mult": 0}] * 3
        learning = [{"lr_mult": rate, "decay_mult": 0}] * 2
        top = n[f"bn{number}"] = L.BatchNorm(top, in_place=True, param=constant, batch_norm_param=statistics)
        bias = {"bias_term": True}
        top = n[f"scale{number}"] = L.Scale(top, in_place=True, param=learning, scale_param=bias)
    n[f"relu{number}"] = L.ReLU(top, in_place=True)
    return n[f"relu{number}"]
