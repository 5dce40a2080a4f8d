"""Costs: which of the model's outputs they take, and the function that makes their values of them.

A cost that is the only consumer of a softmax layer, or of logistic neurons, takes what that layer takes:
its gradient is that of both together then, without a division by a probability, as in the original.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from convnet_cfg import nn
from convnet_cfg.errors import ConfigError, Problem
from convnet_cfg.language import cost_types as costs
from convnet_cfg.language import fork_costs
from convnet_cfg.language.cost_types import CostSpec
from convnet_cfg.language.layer_types import LayerSpec, NeuronSpec, SoftmaxSpec
from convnet_cfg.language.network import Layer
from convnet_cfg.language.own_types import OwnCostSpec
from convnet_cfg.language.params import CostParams, PositiveWeightParams, TopParams
from convnet_cfg.model.assembly import Builder, Cost, Maker, OverViews

Values = Callable[..., Any]

ERROR = ("error",)
WRONG = ("wrong outputs",)
UNPRINTED = ""  # the name of a value that says what the one before it says


def _inputs(builder: Builder, layer: Layer) -> tuple[str, ...]:
    """Make the inputs of a cost outputs of the model, as vectors, and return their names there."""
    return tuple(
        builder.add_vector_output(source.name) if source.output.size > 1 else _scalar(builder, source.name)
        for source in layer.inputs
    )


def _scalar(builder: Builder, name: str) -> str:
    return builder.add_output(name, builder.values[name].tensor)


def _add(
    builder: Builder, layer: Layer, size: int, inputs: tuple[str, ...], values: Values, **more: Any
) -> None:
    children = layer.spec.children if isinstance(layer.spec, CostSpec) else ()
    cost = Cost(layer.name, coefficient(layer), size, inputs, values, children=children, **more)
    builder.costs.append(cost)


def coefficient(layer: Layer) -> float:
    """Return the weight of a cost in the objective; 1 without a parameter file."""
    return layer.params.coefficient if isinstance(layer.params, CostParams) else 1.0


def _before(builder: Builder, layer: Layer, index: int) -> str | None:
    """Return the output that goes into the softmax or logistic function below, if only this cost reads that.

    A logistic function is one of any layer made from the key `neuron`, or of type neuron.
    """
    below = builder.network[layer.inputs[index].name]
    if len(list(builder.network.consumers(below.name))) > 1:
        return None
    if isinstance(below.spec, SoftmaxSpec):
        name = f"{below.name}/logits"
        return builder.add_output(name, builder.values[name].tensor)
    if isinstance(below.spec, NeuronSpec) and below.spec.neuron.name == "logistic" and not _drops(below):
        return builder.add_vector_output(below.inputs[0].name)
    return None


def _drops(layer: Layer) -> bool:
    return bool(layer.params and layer.params.dropout)


def _fused_or_not(
    builder: Builder, layer: Layer, size: int, fused: Values, plain: Values, index: int = 1, **more: Any
) -> None:
    """Add a cost in the form for the values before the softmax or logistic function, where that can be."""
    inputs = _inputs(builder, layer)
    before = _before(builder, layer, index)
    if before is None:
        _add(builder, layer, size, inputs, plain, **more)
        return
    _add(builder, layer, size, (*inputs[:index], before, *inputs[index + 1 :]), fused, **more)


def _logreg(builder: Builder, layer: Layer) -> None:
    top = layer.params.top if isinstance(layer.params, TopParams) else None
    plain = partial(nn.logreg, top_k=top)
    labels, probabilities = _inputs(builder, layer)
    over_views = OverViews(probabilities, (labels, probabilities), plain)
    size = 2 if top is None else 3
    fused = partial(nn.softmax_logreg, top_k=top)
    columns = ERROR if top is None else (*ERROR, f"top-{top} error" if top > 1 else UNPRINTED)
    _fused_or_not(builder, layer, size, fused, plain, over_views=over_views, columns=columns)


def _masked_logreg(builder: Builder, layer: Layer) -> None:
    labels, probabilities = _inputs(builder, layer)
    over_views = OverViews(probabilities, (labels, probabilities), nn.masked_logreg)
    _fused_or_not(
        builder, layer, 2, nn.softmax_masked_logreg, nn.masked_logreg, over_views=over_views, columns=ERROR
    )


def _log_logreg(builder: Builder, layer: Layer) -> None:
    _fused_or_not(builder, layer, 2, nn.softmax_logreg, nn.log_logreg, columns=ERROR)


def _task_logreg(builder: Builder, layer: Layer) -> None:
    spec, params = layer.spec, layer.params
    assert isinstance(spec, fork_costs.TaskLogregSpec)
    options = {"task": spec.task, "top_k": params.top if isinstance(params, TopParams) else 1}
    fused, plain = partial(nn.softmax_task_logreg, **options), partial(nn.task_logreg, **options)
    columns = ("error", f"top-{options['top_k']} error")
    _fused_or_not(builder, layer, 3, fused, plain, index=2, columns=columns)


def _cross_entropy(builder: Builder, layer: Layer) -> None:
    _fused_or_not(builder, layer, 2, nn.softmax_cross_entropy, nn.cross_entropy, columns=ERROR)


def _binary_cross_entropy(builder: Builder, layer: Layer) -> None:
    """A cost that has children, or is one, has nothing beside itself that could be added up."""
    network = builder.network
    assert isinstance(layer.spec, CostSpec)
    aggregated = bool(layer.spec.children) or layer.name in network.child_costs
    options: dict[str, Any] = {"positive_weight": _positive_weight(layer), "aggregated": aggregated}
    fused = partial(nn.logistic_binary_cross_entropy, **options)
    plain = partial(nn.binary_cross_entropy, **options)
    columns = () if aggregated else (*WRONG, *ERROR)
    _fused_or_not(builder, layer, 1 + len(columns), fused, plain, columns=columns)


def _positive_weight(layer: Layer) -> float:
    return layer.params.positive_weight if isinstance(layer.params, PositiveWeightParams) else 1.0


def _detection(builder: Builder, layer: Layer) -> None:
    options = {"positive_weight": _positive_weight(layer)}
    classes = range(layer.inputs[0].output.size)
    rates = [f"{rate} of {number}" for number in classes for rate in ("precision", "recall")]
    fused = partial(nn.logistic_detection_cross_entropy, **options)
    plain = partial(nn.detection_cross_entropy, **options)
    size, columns = 2 + 3 * len(classes), (*WRONG, *rates)
    _fused_or_not(builder, layer, size, fused, plain, summary=nn.detection_summary, columns=columns)


def _alexnet_cross_entropy(builder: Builder, layer: Layer) -> None:
    options = {"aggregated": True}
    fused = partial(nn.logistic_binary_cross_entropy, **options)
    _fused_or_not(builder, layer, 1, fused, partial(nn.binary_cross_entropy, **options))


def _binary_rates(builder: Builder, layer: Layer) -> None:
    fused, plain = nn.logistic_masked_binary_cross_entropy, nn.masked_binary_cross_entropy
    columns = ("true positives", "false positives")
    _fused_or_not(builder, layer, 3, fused, plain, columns=columns)


def _squares(builder: Builder, layer: Layer) -> None:
    assert isinstance(layer.spec, costs.SquaresSpec)
    values = partial(nn.sum_of_squares, factor=layer.spec.factor(layer.params))
    _add(builder, layer, 1, _inputs(builder, layer), values)


def _plain(values: Values, *columns: str) -> Maker:
    """Return the maker of a cost whose function takes its inputs as they are."""

    def maker(builder: Builder, layer: Layer) -> None:
        _add(builder, layer, 1 + len(columns), _inputs(builder, layer), values, columns=columns)

    return maker


def _subsets(builder: Builder, layer: Layer) -> None:
    params = layer.params
    assert isinstance(params, fork_costs.SubsetParams), "a network without parameters cannot be run"
    values = partial(nn.subset_logreg, size=params.set_size)
    columns = ("error", f"top-{params.set_size} error")
    _add(builder, layer, 3, _inputs(builder, layer), values, columns=columns)


def _topographic(builder: Builder, layer: Layer) -> None:
    spec = layer.spec
    assert isinstance(spec, fork_costs.TopographicSpec)
    name = builder.add_output(f"{layer.name}/image", builder.image(layer, spec.channels).tensor)
    _add(builder, layer, 1, (name,), partial(nn.topographic_energy, size=spec.size))


def _group_sparsity(builder: Builder, layer: Layer) -> None:
    spec = layer.spec
    assert isinstance(spec, fork_costs.GroupSparsitySpec)
    labels = _scalar(builder, layer.inputs[0].name)
    planes = builder.channels_last(layer, spec.channels, 1)
    name = builder.add_output(f"{layer.name}/values", planes)
    _add(builder, layer, 1, (labels, name), nn.group_sparsity)


def _contrastive(builder: Builder, layer: Layer) -> None:
    assert isinstance(layer.spec, fork_costs.PairDistanceSpec)
    _add(builder, layer, 1, _inputs(builder, layer), partial(nn.contrastive, margin=layer.spec.margin))


def _ranking(builder: Builder, layer: Layer) -> None:
    """Part of its gradient is not multiplied by the coefficient, so the function has to know it."""
    if layer.inputs[3].output.size != 1:
        message = f"the fourth input must be one weight a case, not {layer.inputs[3].output.size}"
        raise ConfigError([Problem(layer.place, layer.name, message)])
    values = partial(nn.ranking, coefficient=coefficient(layer))
    _add(builder, layer, 1, _inputs(builder, layer), values)


def _own(builder: Builder, layer: Layer) -> None:
    """A cost of the user's, which makes its values itself."""
    spec = layer.spec
    assert isinstance(spec, OwnCostSpec)
    values = partial(spec.values, layer)
    _add(builder, layer, 1 + len(spec.columns), _inputs(builder, layer), values, columns=spec.columns)


COSTS: Mapping[type[LayerSpec], Maker] = {
    OwnCostSpec: _own,
    costs.LogregSpec: _logreg,
    fork_costs.MaskedLogregSpec: _masked_logreg,
    fork_costs.LogProbabilitySpec: _log_logreg,
    fork_costs.TaskLogregSpec: _task_logreg,
    fork_costs.HingeSpec: _plain(nn.hinge_loss, "error"),
    costs.CrossEntropySpec: _cross_entropy,
    costs.BinaryCrossEntropySpec: _binary_cross_entropy,
    costs.DetectionCrossEntropySpec: _detection,
    fork_costs.AlexNetCrossEntropySpec: _alexnet_cross_entropy,
    fork_costs.BinaryRatesSpec: _binary_rates,
    fork_costs.IndependentSpec: _plain(nn.independent_cross_entropy, *WRONG),
    costs.SquaresSpec: _squares,
    fork_costs.RobustPairSpec: _plain(nn.cauchy),
    fork_costs.GatedSquaresSpec: _plain(nn.gated_sum_of_squares),
    fork_costs.DifferenceSpec: _plain(nn.squared_difference),
    fork_costs.SubsetSpec: _subsets,
    fork_costs.TopographicSpec: _topographic,
    fork_costs.GroupSparsitySpec: _group_sparsity,
    fork_costs.PairDistanceSpec: _contrastive,
    fork_costs.RankSpec: _ranking,
}
