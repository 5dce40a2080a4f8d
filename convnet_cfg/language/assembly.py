"""The layers of a network, put together from what both files say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from convnet_cfg.language.kinds import BIAS, SourceRef
from convnet_cfg.language.layer_types import NeuronSpec
from convnet_cfg.language.network import Layer, Matrix
from convnet_cfg.language.params import LayerParams, WeightParams
from convnet_cfg.language.weight_types import WeightSpec
from convnet_cfg.language.wiring import Wired

Params = Mapping[str, LayerParams | None]


def assemble(
    layers: Mapping[str, Wired], activations: Mapping[str, str], params: Params, shares_biases: bool
) -> tuple[Layer, ...]:
    """Return the layers, each behind its inputs; whoever reads a layer with an activation reads that.

    `shares_biases`: a layer that takes its first matrix from another one takes the bias too.
    """
    assembled: list[Layer] = []
    owners: dict[str, str] = {}  # the layer that has the bias of a layer
    for wired in layers.values():
        source = _lender(wired) if shares_biases else None
        owners[wired.name] = owners.get(source or "", source or wired.name)
        layer = _layer(wired, activations, params, owners[wired.name])
        assembled.append(layer)
        if wired.name in activations:
            assembled.append(_activation(activations[wired.name], wired, layer, params))
    return tuple(assembled)


def _lender(wired: Wired) -> str | None:
    """Return the layer that the first matrix is taken from, if there is one."""
    spec = wired.declared.spec
    source = spec.sources[0] if isinstance(spec, WeightSpec) else None
    return source.layer if source else None


def _layer(wired: Wired, activations: Mapping[str, str], params: Params, owner: str) -> Layer:
    assert wired.declared.spec is not None
    assert wired.inputs is not None
    assert wired.output is not None
    return Layer(
        name=wired.name,
        spec=wired.declared.spec,
        place=wired.declared.section.place,
        inputs=tuple(
            source._replace(name=activations.get(source.name, source.name)) for source in wired.inputs
        ),
        output=wired.output,
        params=params.get(wired.name),
        matrices=_with_rules(wired.matrices, params.get(wired.name)),
        bias=_bias(wired, params.get(wired.name), owner),
        devices=wired.devices,
    )


def _with_rules(matrices: tuple[Matrix, ...], params: LayerParams | None) -> tuple[Matrix, ...]:
    if not isinstance(params, WeightParams):
        return matrices
    return tuple(replace(matrix, rule=params.weight_rule(index)) for index, matrix in enumerate(matrices))


def _bias(wired: Wired, params: LayerParams | None, owner: str) -> Matrix | None:
    spec = wired.declared.spec
    if not isinstance(spec, WeightSpec) or not spec.has_bias or wired.output is None:
        return None
    return Matrix(
        spec.bias_shape(wired.output),
        deviation=0.0,
        mean=spec.initial_bias,
        function=spec.bias_function,
        rule=params.bias_rule() if isinstance(params, WeightParams) else None,
        source=SourceRef(owner, BIAS) if owner != wired.name else None,
    )


def _activation(name: str, wired: Wired, layer: Layer, params: Params) -> Layer:
    assert layer.spec.neuron is not None
    source = wired.as_input()
    assert source is not None
    return Layer(
        name=name,
        spec=NeuronSpec(inputs=(layer.name,), neuron=layer.spec.neuron),
        place=layer.place,
        inputs=(source,),
        output=source.output,
        params=params.get(name),
        implicit=True,
        devices=layer.devices,
    )
