"""What each program's language was: data, each dialect as what it adds to and changes in another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from convnet_cfg.errors import Severity
from convnet_cfg.language import cost_types as costs
from convnet_cfg.language import fork_costs
from convnet_cfg.language import fork_types as forks
from convnet_cfg.language import layer_types as v1
from convnet_cfg.language import neurons as activations
from convnet_cfg.language import v2_types as v2
from convnet_cfg.language.alexnet_types import (
    AlexNetConvSpec,
    AlexNetFullSpec,
    AlexNetLocalSpec,
    AlexNetRandomScaleSpec,
    HalfSpec,
)
from convnet_cfg.language.dialect import DeviceList, Dialect, OneDevice, as_table, derive
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
from convnet_cfg.language.neurons import V2_SYNTAX
from convnet_cfg.language.schedules import (
    AX_SCHEDULES,
    EMDRP_SCHEDULES,
    V2_SCHEDULES,
)
from convnet_cfg.language.spec import Ignored
from convnet_cfg.language.weight_types import ConvSpec, FullSpec, LocalSpec

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
    "supereps": Ignored("cuda-convnet2 read it and made nothing of it"),
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
    v2.MaxAbsPoolSpec,
    v2.CrossMapNormV2Spec,
    v2.ConcatSpec,
    v2.FlipSpec,
    AlexNetRandomScaleSpec,
    HalfSpec,
    costs.TopLogregSpec,
    costs.CrossEntropySpec,
    fork_costs.AlexNetCrossEntropySpec,
    fork_costs.RobustPairSpec,
    fork_costs.GatedSquaresSpec,
    fork_costs.SubsetSpec,
    fork_costs.TopographicSpec,
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
    forks.NinConvSpec,
    forks.NinPoolSpec,
    forks.PixelSpec,
    forks.OldPixelSpec,
    forks.NinResponseNormSpec,
    forks.NinContrastNormSpec,
    forks.NinCrossMapNormSpec,
    fork_costs.HalfSquaresSpec,
    fork_costs.GroupSparsitySpec,
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
            fork_costs.MaskedLogregSpec,
            fork_costs.BinaryRatesSpec,
        ),
        deviations=("cost.binxent's gradient is multiplied by coeff, which that program forgot",),
    ),
    "hunse": derive(
        V2, "hunse", "hunse/cuda-convnet2", fork_costs.HingeSpec, neurons=activations.SPIKING_NEURONS
    ),
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
        fork_costs.LogProbabilitySpec,
        placement=OneDevice,
        refused=dict.fromkeys(
            ("scaling", "sumsquaresdiff", "logsumsquaresdiff", "color_enhance", "gradmag_enhance"),
            "what it computed is not published well enough",
        ),
    ),
    "s9xie": replace(
        derive(V2, "s9xie", "a fork of s9xie", fork_costs.TaskLogregSpec),
        deviations=("probabilities are not summed up over groups of classes, which only its data defined",),
    ),
    "zbhzxyld": derive(
        V1,
        "zbhzxyld",
        "a fork of zbhzxyld",
        fork_costs.PairDistanceSpec,
        fork_costs.DifferenceSpec,
        refused={
            "shift": "what it computed is not published well enough",
            "cost.fisher2": "what it computed is not published well enough",
        },
    ),
    "zhaofang0627": derive(
        V2,
        "zhaofang0627",
        "zhaofang0627/cuda-convnet-for-hashing",
        fork_costs.RankSpec,
        shares_biases=True,
        unused_layers=Severity.WARNING,
    ),
    "elhuhdron": derive(
        V2,
        "elhuhdron",
        "elhuhdron/emdrp",
        fork_costs.IndependentSpec,
        fork_costs.ScaledSquaresSpec,
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

DEAD_KEYS = frozenset({"supermom", "sched", "wcnorm"})
