import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_cases import FOLDER, MISSING, close, read_arrays

from convnet_cfg import nn

from .gradients import normal

# Layouts of Dense and BlockDense, of Conv2D and of Local2D
SHAPES = [(6, 5), (3, 3, 2, 5), (2, 2, 3, 3, 2, 5)]


def columns(kernel):
    """Yield the index of each column of a kernel that runs along all axes but the last."""
    for column in range(kernel.shape[-1]):
        yield (..., column)


def columns_of_positions(kernel):
    """Yield the index of each column of a kernel of Local2D."""
    for row, column, number in np.ndindex(kernel.shape[0], kernel.shape[1], kernel.shape[-1]):
        yield (row, column, ..., number)


def uneven(shape, dtype="float64"):
    """Return a kernel whose columns differ much, one of them zero."""
    kernel = normal(*shape) * np.geomspace(0.1, 10, shape[-1])
    kernel[..., 2] = 0
    return kernel.astype(dtype)


def norm(column):
    return np.sqrt(np.sum(column**2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES[:2])
def test_column_norm(shape, dtype):
    kernel = uneven(shape, dtype)
    result = nn.ColumnNorm(1.25)(kernel).numpy()
    assert result.dtype == dtype
    for at in columns(kernel):
        length = norm(kernel[at].astype(np.float64))
        wanted = kernel[at] * (1.25 / length if length else 1.0)
        np.testing.assert_allclose(result[at], wanted, rtol=1e-6 if dtype == "float32" else 1e-13)
    assert not result[..., 2].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_column_norm_limit(shape, dtype):
    kernel = uneven(shape, dtype)
    local = len(shape) == 6
    result = nn.ColumnNormLimit(2.5, nn.LOCAL_AXES if local else None)(kernel).numpy()
    shortened = 0
    for at in columns_of_positions(kernel) if local else columns(kernel):
        length = norm(kernel[at].astype(np.float64))
        shortened += length > 2.5
        if length > 2.5:
            np.testing.assert_allclose(result[at], kernel[at] * 2.5 / length, rtol=1e-6)
        else:
            np.testing.assert_array_equal(result[at], kernel[at])
    assert 0 < shortened < kernel[..., 0].size * kernel.shape[-1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES[:2])
def test_column_spread(shape, dtype):
    kernel = uneven(shape, dtype) + 0.5
    minimum, maximum = (0.2, 0.6) if len(shape) == 2 else (0.05, 0.3)
    result = nn.ColumnSpread(minimum, maximum)(kernel).numpy()
    kinds = set()
    for at in columns(kernel):
        column = kernel[at].astype(np.float64)
        spread = norm(column - column.mean()) / column.size
        factor = 1.0
        if 0 < spread < minimum:
            factor = minimum / spread
        elif spread > maximum:
            factor = maximum / spread
        kinds.add("none" if spread == 0 else "below" if factor > 1 else "above" if factor < 1 else "between")
        np.testing.assert_allclose(result[at], column * factor, rtol=2e-6 if dtype == "float32" else 1e-12)
    assert kinds == {"none", "below", "above", "between"}


def test_columns_within_the_spread_stay_as_they_are():
    kernel = normal(3, 3, 2, 5).astype(np.float32)
    np.testing.assert_array_equal(nn.ColumnSpread(0.0, 10.0)(kernel), kernel)


@pytest.mark.parametrize("limits", [(2.0, 1.0), (-1.0, 1.0), (0.0, 0.0)])
def test_spread_is_checked(limits):
    with pytest.raises(ValueError, match="0 <= minimum <= maximum and maximum > 0 must hold, got"):
        nn.ColumnSpread(*limits)


def test_non_negative_columns():
    kernel = normal(6, 5)
    kernel[:, 1] = -1.0
    result = nn.NonNegativeColumns()(kernel).numpy()
    for column in (0, 2, 3, 4):
        wanted = [max(weight, 0.0) for weight in kernel[:, column]]
        np.testing.assert_allclose(result[:, column], np.divide(wanted, sum(wanted)))
    np.testing.assert_array_equal(result[:, 1], np.zeros(6))


def test_chain_goes_in_order():
    kernel = normal(3, 3, 2, 5)
    spread, length = nn.ColumnSpread(0.0, 0.05), nn.ColumnNorm(2.0)
    result = nn.Chain([spread, length])(kernel)
    np.testing.assert_array_equal(result, length(spread(kernel)))
    assert np.abs(result - spread(length(kernel))).max() > 0.1


@pytest.mark.parametrize(
    "constraint",
    [
        nn.ColumnNorm(1.5),
        nn.ColumnNormLimit(0.5),
        nn.ColumnNormLimit(0.5, [0]),
        nn.ColumnSpread(0.01, 0.02),
        nn.NonNegativeColumns(),
        nn.Chain([nn.ColumnSpread(0.01, 0.02), nn.ColumnNorm(1.5)]),
    ],
    ids=lambda constraint: type(constraint).__name__,
)
def test_serializable_and_usable_by_keras(constraint):
    again = keras.constraints.deserialize(keras.constraints.serialize(constraint))
    kernel = keras.Variable(normal(6, 5))
    assert type(again) is type(constraint)
    np.testing.assert_array_equal(again(kernel), constraint(kernel))
    compiled = tf.function(lambda weights: constraint(weights))
    np.testing.assert_allclose(compiled(kernel.value), constraint(kernel), rtol=1e-6)
    layer = keras.layers.Dense(5, kernel_constraint=constraint)
    layer.build((None, 6))
    assert layer.kernel.constraint is constraint


def as_filters(matrix):
    """Return weights of a conv layer of filters of side 3 in the layout of Conv2D."""
    return matrix.reshape(-1, 3, 3, matrix.shape[1]).transpose(1, 2, 0, 3)


def as_local(count, size):
    """Return the function from weights of a local layer to the layout of Local2D."""
    return lambda matrix: matrix.reshape(count, count, -1, size, size, matrix.shape[1]).transpose(
        0, 1, 3, 4, 2, 5
    )


# case -> layer -> (how its weights become a kernel, constraint)
UPDATES = {
    "v2_update_wcnorm": {
        "conv1": (as_filters, nn.ColumnSpread(0.034, 0.04)),
        "conv2": (as_filters, nn.ColumnSpread(0.0, 0.0066)),
    },
    "v2_update_fc_wball": {"fc1": (np.asarray, nn.ColumnNorm(1.2))},
    "v2_update_sfc_wball": {"s1": (np.asarray, nn.ColumnNorm(1.1))},
    "v2_update_local_wball": {
        "loc1": (as_local(4, 3), nn.ColumnNormLimit(0.5, nn.LOCAL_AXES)),
        "loc2": (as_local(2, 2), nn.ColumnNormLimit(0.4, nn.LOCAL_AXES)),
    },
}


@pytest.mark.skipif(not FOLDER.is_dir(), reason=MISSING)
@pytest.mark.parametrize(("case", "layer"), [(case, layer) for case in UPDATES for layer in UPDATES[case]])
def test_constraints_of_the_original(case, layer):
    arrays = read_arrays(case)
    to_kernel, constraint = UPDATES[case][layer]
    changed = 0.0
    for step in range(1, 5):
        before = arrays[f"step{step - 1}_{layer}_W0"] + arrays[f"step{step}_{layer}_Winc0"]
        after = arrays[f"step{step}_{layer}_W0"]
        changed = max(changed, np.abs(after - before).max())
        assert close(constraint(to_kernel(before)), to_kernel(after)) <= 1e-6
    assert changed > 1e-4
