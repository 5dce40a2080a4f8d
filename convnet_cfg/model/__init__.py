"""Network -> keras.Model and its parameter groups.

Images are (cases, rows, columns, channels) here. Where a layer reads values in another form than the layer
below makes them (a vector as an image, an image with other channels), they are brought into the original's
order (channel, row, column) first, in which every vector of a cfg file is meant.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from convnet_cfg import nn
from convnet_cfg.language.network import Network, Owned, column_rows
from convnet_cfg.language.params import DEFAULT_DECAY, Limits
from convnet_cfg.language.weight_types import ConvSpec, LocalSpec
from convnet_cfg.model.assembly import Builder, BuiltNetwork, Connections, Cost, Shape, Value
from convnet_cfg.model.initial import InitFunctions, initial_values
from convnet_cfg.model.makers import MAKERS
from convnet_cfg.optim import Group, GroupedOptimizer

__all__ = ["BuiltNetwork", "Cost", "InitFunctions", "Value", "assemble", "build", "parameter_groups"]


def assemble(
    network: Network, data_shapes: Sequence[Shape], connections: Connections | None = None
) -> BuiltNetwork:
    """Put a network together as `build` does, but without memory for its weights, and without optimizer."""
    with keras.StatelessScope(initialize_variables=False):
        return Builder(network, data_shapes, MAKERS, 0, "float32", InitFunctions(), connections).build()


def build(
    network: Network,
    data_shapes: Sequence[Shape],
    *,
    seed: int = 0,
    decay: str = DEFAULT_DECAY,
    dtype: str = "float32",
    functions: InitFunctions | None = None,
    connections: Connections | None = None,
) -> BuiltNetwork:
    """Make the Keras model of a network, its variables at their first values, and its optimizer.

    `data_shapes` are the shapes of one case of each data matrix: images (rows, columns, channels) or vectors.
    `decay` is the kind of weight decay of layers that name none. `connections` are those of random sparsity,
    by layer and input, where they are known already; else they are drawn.

    Raises:
        ConfigError: an init function is not allowed, or does not return what it should.
    """
    builder = Builder(network, data_shapes, MAKERS, seed, dtype, functions or InitFunctions(), connections)
    built = builder.build()
    built.variables = {owned.name: _variable(built, owned) for owned in network.owned()}
    for name, value in initial_values(network, seed, builder.functions, built.kernel_images):
        built.variables[name].assign(value)
    if network.has_params and built.variables:
        built.optimizer = GroupedOptimizer(parameter_groups(built, decay))
        built.optimizer.build(built.model.trainable_variables)
    return built


def _variable(built: BuiltNetwork, owned: Owned) -> keras.Variable:
    keras_layer = built.layers[owned.layer.name]
    return keras_layer.bias if owned.input is None else keras_layer.kernels[owned.input]


def parameter_groups(built: BuiltNetwork, decay: str) -> list[Group]:
    """Return a group for every weight matrix and bias; biases are never decayed."""
    groups = []
    for owned in built.network.owned():
        rule = owned.matrix.rule
        assert rule is not None
        groups.append(
            Group(
                [built.variables[owned.name]],
                learning_rate=rule.learning_rate,
                momentum=rule.momentum,
                weight_decay=max(rule.weight_decay, 0.0),
                decay=(rule.decay or decay) if owned.input is not None or rule.weight_decay else "none",
                name=owned.name,
                period=built.network.period(owned.layer, rule),
                gathers_moves=gathers_moves(owned),
                velocity_mask=_velocity_mask(built, owned),
                constraint=constraint(owned),
            )
        )
    return groups


def _velocity_mask(built: BuiltNetwork, owned: Owned) -> keras.Variable | None:
    """Return which weights are kept: dropped ones lose their momentum (spec: forks.md section 3)."""
    return getattr(built.layers[owned.layer.name], "kernel_mask", None) if owned.input is not None else None


def gathers_moves(owned: Owned) -> bool:
    """Return whether what is gathered over several minibatches is e G, not G (spec: params.md section 5)."""
    return owned.input is not None and not isinstance(owned.layer.spec, ConvSpec)


def constraint(owned: Owned) -> keras.constraints.Constraint | None:
    """Return what a matrix is held to after each update (spec: params.md section 6, forks.md 1.4)."""
    limits = owned.matrix.rule.limits if owned.matrix.rule is not None else None
    if owned.input is None or not limits:
        return None
    parts: list[keras.constraints.Constraint] = []
    if limits.most_spread > 0:
        parts.append(nn.ColumnSpread(max(limits.least_spread, 0.0), limits.most_spread))
    if limits.norm > 0:
        parts.append(_norm_limit(owned, limits))
    if limits.distributions:
        parts.append(nn.NonNegativeColumns())
    return parts[0] if len(parts) == 1 else nn.Chain(parts)


def _norm_limit(owned: Owned, limits: Limits) -> keras.constraints.Constraint:
    local = isinstance(owned.layer.spec, LocalSpec)
    if not limits.norm_only_shrinks:
        return nn.ColumnNorm(limits.norm)
    rows = column_rows(owned.layer, owned.matrix) if limits.norm_per_row else 1
    return nn.ColumnNormLimit(limits.norm * rows, nn.LOCAL_AXES if local else None)
