"""What each program's language was: data, each dialect as what it adds to and changes in another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from convnet_cfg.errors import Severity
from convnet_cfg.language import cost_types as costs
from convnet_cfg.language import fork_types as forks
from convnet_cfg.language import layer_types as v1
from convnet_cfg.language import neurons as activations
from convnet_cfg.language import v2_types as v2
from convnet_cfg.language.alexnet_types import (
    AlexNetConvSpec,
    AlexNetFullSpec,
    AlexNetLocalSpec,
    AlexNetPoolSpec,
    AlexNetRandomScaleSpec,
    HalfSpec,
)
from convnet_cfg.language.historic_types import (
    OldContrastNormSpec,
    OldConvSpec,
    OldCrossMapNormSpec,
    OldFullSpec,
    OldLocalSpec,
    OldPoolSpec,
    OldResponseNormSpec,
    OldSumSpec,
)
from convnet_cfg.language.kinds import Kind, Syntax, at_least
from convnet_cfg.language.layer_types import LayerSpec, as_table
from convnet_cfg.language.neurons import V1_SYNTAX, V2_SYNTAX, NeuronType, NumberSyntax, neuron_kind
from convnet_cfg.language.schedules import (
    AX_SCHEDULES,
    EMDRP_SCHEDULES,
    V2_SCHEDULES,
    ScheduleType,
    constant_kind,
    schedule_kind,
)
from convnet_cfg.language.spec import Ignored, key, key_names
from convnet_cfg.language.weight_types import ConvSpec, FullSpec, LocalSpec


@dataclass(frozen=True, kw_only=True)
class DeviceList:
    """`gpu` of v2: a replica of the layer on each of these devices."""

    devices: tuple[int, ...] | None = key(
        "gpu",
        at_least(0),
        is_list=True,
        default=None,
        doc=(
            "Devices that have replicas of the layer; without it those of its first input. Everything "
            "is computed on one."
        ),
    )


@dataclass(frozen=True, kw_only=True)
class OneDevice:
    """`gpu` of the 2012 AlexNet program: where the layer was."""

    device: int | None = key(
        "gpu",
        at_least(0),
        default=None,
        doc="Device that has the layer; without it that of its first input. Everything is computed on one.",
    )


@dataclass(frozen=True)
class Extensions:
    """What users added from Python, to all dialects."""

    layer_types: dict[str, type[LayerSpec]] = field(default_factory=dict)
    neurons: dict[str, NeuronType] = field(default_factory=dict)
    schedules: dict[str, ScheduleType] = field(default_factory=dict)


EXTENSIONS = Extensions()


@dataclass(frozen=True)
class Dialect:
    """One program's language.

    `title` is its name for people. `base` is the dialect that it adds to and changes. `placement` declares
    the keys that every layer but data has beside those of its type. `deviations` say what we do otherwise
    than that program.
    """

    name: str
    title: str
    own_types: Mapping[str, type[LayerSpec]]
    neurons: Mapping[str, NeuronType] = field(default_factory=lambda: activations.V1_NEURONS)
    number_syntax: NumberSyntax = V1_SYNTAX
    schedules: Mapping[str, ScheduleType] = field(default_factory=dict)  # none: rates are plain numbers
    shapes: Mapping[str, ScheduleType] = field(default_factory=dict)  # schedules in keys beside the rates
    broadcasts: bool = False  # one value stands for all inputs of a layer
    activations_last: bool = False  # layers made from the key `neuron` come behind all others
    nominal_divisor: bool = (
        False  # gradients are divided by the size of a full minibatch, also in a short one
    )
    nominal_average: bool = False  # averages divide by all pixels of a window, inside the image or not
    shared_rates: bool = True  # each use of a shared matrix has a rate of its own
    shares_biases: bool = False  # `weightSource` shares the bias too
    unused_layers: Severity = Severity.ERROR  # layers that no other layer reads
    placement: type[Any] | None = None
    ignored: Mapping[str, Ignored] = field(default_factory=dict)
    refused: Mapping[str, str] = field(
        default_factory=dict
    )  # types that its parser knew, and why there is no such layer
    deviations: tuple[str, ...] = ()
    base: str | None = None

    @property
    def layer_types(self) -> Mapping[str, type[LayerSpec]]:
        """The layer types by name, those that users added among them."""
        return {**EXTENSIONS.layer_types, **self.own_types}

    @cached_property
    def kinds(self) -> Mapping[Syntax, Kind]:
        """How this program wrote activations and learning rates."""
        neurons = {**EXTENSIONS.neurons, **self.neurons}
        schedules = {**EXTENSIONS.schedules, **self.schedules}
        return {
            Syntax.NEURON: neuron_kind(neurons, self.number_syntax),
            Syntax.REQUIRED_NEURON: neuron_kind(neurons, self.number_syntax, required=True),
            Syntax.RATE: schedule_kind(schedules) if self.schedules else constant_kind(),
        }

    def forget(self) -> None:
        """Work the kinds and keys out anew: a user has added something."""
        for worked_out in ("kinds", "keys"):
            self.__dict__.pop(worked_out, None)

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of all layer types in both files, lower-cased."""
        declarations = [self.placement] if self.placement else []
        for spec in self.layer_types.values():
            declarations += [spec, spec.params]
        return frozenset(name.lower() for each in declarations for name in key_names(each, self))


def derive(base: Dialect, name: str, title: str, *types: type[LayerSpec], **changes: Any) -> Dialect:
    """Return a dialect that adds layer types to another one, or replaces those of the same name."""
    table = {**base.own_types, **as_table(*types)}
    changes = {"own_types": table, "deviations": (), "base": base.name, **changes}
    return replace(base, name=name, title=title, **changes)


V1 = Dialect(
    "v1",
    "cuda-convnet",
    as_table(
        v1.DataSpec,
        FullSpec,
        ConvSpec,
        LocalSpec,
        v1.SoftmaxSpec,
        v1.SumSpec,
        v1.MaxSpec,
        v1.NeuronSpec,
        v1.PoolSpec,
        v1.ResponseNormSpec,
        v1.ContrastNormSpec,
        v1.CrossMapNormSpec,
        v1.NailbedSpec,
        v1.BlurSpec,
        v1.ResizeSpec,
        v1.YuvSpec,
        v1.LabSpec,
        costs.LogregSpec,
        costs.SquaresSpec,
    ),
    refused={"rscale": "cuda-convnet's parser knew this type, but the program did not"},
)
V1_DROPOUT = derive(V1, "v1+dropout", "cuda-convnet with dropout")
HISTORIC = derive(
    V1,
    "historic-v1",
    "cuda-convnet before June 2012",
    OldFullSpec,
    OldConvSpec,
    OldLocalSpec,
    OldPoolSpec,
    OldSumSpec,
    OldResponseNormSpec,
    OldContrastNormSpec,
    OldCrossMapNormSpec,
    neurons=activations.HISTORIC_NEURONS,
    number_syntax=activations.HISTORIC_SYNTAX,
    nominal_average=True,
)

TUNING = Ignored("it only tuned the GPU kernels", Severity.NOTE)
V2_IGNORES = {
    "partialsum": TUNING,
    "randsparse": Ignored("cuda-convnet2 ignored it: this network is not sparse"),
    "filterchannels": Ignored("cuda-convnet2 ignored it"),
    "initcfunc": Ignored("cuda-convnet2 ignored it"),
    "dropout": Ignored(
        "cuda-convnet2 ignored it: nothing is dropped; it has layers of type dropout for that"
    ),
}
V2 = derive(
    V1,
    "v2",
    "cuda-convnet2",
    v2.PartDataSpec,
    v2.FullV2Spec,
    v2.BlockSpec,
    v2.ConvV2Spec,
    v2.LocalV2Spec,
    v2.SumV2Spec,
    v2.PoolV2Spec,
    v2.ChannelPoolSpec,
    v2.ResponseNormV2Spec,
    v2.ContrastNormV2Spec,
    v2.CrossMapNormV2Spec,
    v2.ConcatSpec,
    v2.PassSpec,
    v2.InvertedDropoutSpec,
    v2.DropoutSpec,
    v2.FlipSpec,
    v2.CropSpec,
    v2.RandomScaleSpec,
    costs.ParentLogregSpec,
    costs.ParentSquaresSpec,
    costs.CrossEntropySpec,
    costs.BinaryCrossEntropySpec,
    costs.DetectionCrossEntropySpec,
    neurons=activations.V2_NEURONS,
    number_syntax=V2_SYNTAX,
    schedules=V2_SCHEDULES,
    broadcasts=True,
    activations_last=True,
    nominal_divisor=True,
    shared_rates=False,
    placement=DeviceList,
    ignored=V2_IGNORES,
    refused={"sum": "cuda-convnet2's parser knew this type, but the program did not"},
)

COPIES = Ignored("it only rounded what was copied between devices", Severity.NOTE)
ALEXNET = derive(
    V1,
    "alexnet-2012",
    "the 2012 AlexNet program",
    AlexNetFullSpec,
    AlexNetConvSpec,
    AlexNetLocalSpec,
    AlexNetPoolSpec,
    v2.CrossMapNormV2Spec,
    v2.ConcatSpec,
    v2.FlipSpec,
    AlexNetRandomScaleSpec,
    HalfSpec,
    costs.TopLogregSpec,
    costs.CrossEntropySpec,
    costs.AlexNetCrossEntropySpec,
    costs.RobustPairSpec,
    costs.GatedSquaresSpec,
    costs.SubsetSpec,
    costs.TopographicSpec,
    neurons=activations.AX_NEURONS,
    number_syntax=V2_SYNTAX,
    shapes=AX_SCHEDULES,
    activations_last=True,
    shared_rates=False,
    placement=OneDevice,
    ignored={
        "quantf": COPIES,
        "quantb": COPIES,
        "dropout": Ignored("this program ignored it: nothing is dropped; it has layers of type hs for that"),
    },
    refused={
        "treefc": "it takes a tree of classes that only that program's own data set had",
    },
)

NO_DROPOUT = {"dropout": Ignored("this program ignored it: nothing is dropped")}
NIN = derive(
    V1,
    "nin",
    "the Network in Network fork",
    forks.PixelSpec,
    forks.OldPixelSpec,
    forks.NinResponseNormSpec,
    forks.NinContrastNormSpec,
    forks.NinCrossMapNormSpec,
    costs.HalfSquaresSpec,
    costs.GroupSparsitySpec,
    neurons=activations.NIN_NEURONS,
    ignored=NO_DROPOUT,
)
DROPCONNECT = derive(
    V1,
    "dropconnect",
    "the DropConnect branch",
    forks.AnyPartialSumSpec,
    forks.DropoutFullSpec,
    forks.DropConnectSpec,
    forks.CaseDropConnectSpec,
    neurons=activations.ARCHCONVNETS_NEURONS,
    refused={"fcdrop": "no published program knew this type; fcdropo is dropout in a fully connected layer"},
)

CONCATENATED = (
    "joined inputs are each multiplied by their own coefficient and get their whole gradient; the "
    "program took the second coefficient for both, and left out the last value of each half"
)
FORKS = {
    "alemagnani": derive(V1, "alemagnani", "alemagnani/cuda-convnet", forks.UnionSpec),
    "civilman628": replace(
        derive(
            V1,
            "civilman628",
            "civilman628/pyconvnet",
            forks.ScaledConcatSpec,
            forks.SumAsConcatSpec,
            v2.InvertedDropoutSpec,
            v2.DropoutSpec,
            ignored=NO_DROPOUT,
        ),
        deviations=(CONCATENATED,),
    ),
    "Cysu": replace(
        derive(
            V1,
            "cysu",
            "Cysu/cuda-convnet",
            forks.TransitionSpec,
            costs.MaskedLogregSpec,
            costs.BinaryRatesSpec,
        ),
        deviations=("cost.binxent's gradient is multiplied by coeff, which that program forgot",),
    ),
    "hunse": derive(V2, "hunse", "hunse/cuda-convnet2", costs.HingeSpec, neurons=activations.SPIKING_NEURONS),
    "stephenyan1231": derive(
        V1,
        "stephenyan1231",
        "a fork of stephenyan1231",
        forks.FixedDropoutFullSpec,
        forks.DecayedBiasConvSpec,
        forks.LogSoftmaxSpec,
        forks.UnitNormSpec,
        forks.ConcatenateSpec,
        forks.PartSpec,
        costs.LogProbabilitySpec,
        placement=OneDevice,
        refused=dict.fromkeys(
            ("scaling", "sumsquaresdiff", "logsumsquaresdiff", "color_enhance", "gradmag_enhance"),
            "what it computed is not published well enough",
        ),
    ),
    "s9xie": replace(
        derive(V2, "s9xie", "a fork of s9xie", costs.TaskLogregSpec),
        deviations=("probabilities are not summed up over groups of classes, which only its data defined",),
    ),
    "zbhzxyld": derive(
        V1,
        "zbhzxyld",
        "a fork of zbhzxyld",
        costs.PairDistanceSpec,
        costs.DifferenceSpec,
        refused={
            "shift": "what it computed is not published well enough",
            "cost.fisher2": "what it computed is not published well enough",
        },
    ),
    "zhaofang0627": derive(
        V2,
        "zhaofang0627",
        "zhaofang0627/cuda-convnet-for-hashing",
        costs.RankSpec,
        shares_biases=True,
        unused_layers=Severity.WARNING,
    ),
    "elhuhdron": derive(
        V2,
        "elhuhdron",
        "elhuhdron/emdrp",
        costs.IndependentSpec,
        schedules=EMDRP_SCHEDULES,
        refused=dict.fromkeys(
            ("cost.normp", "unpool", "cmunpool", "convdec", "whiten"), "what it computed is not published"
        ),
    ),
    "tund": replace(
        derive(V1, "tund", "tund's Galaxy Zoo program", forks.DropProbabilitySpec),
        deviations=("dropoutProb is taken for the probability of dropping: that program is not published",),
    ),
}

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (V1, V1_DROPOUT, HISTORIC, V2, ALEXNET, NIN, DROPCONNECT, *FORKS.values())
}

DEAD_KEYS = frozenset({"supereps", "supermom", "sched", "wcnorm"})
