"""Loops in NumPy float64: what the layers must compute, written as slowly and plainly as possible.

Images are (batch, rows, columns, channels), as in the package.
"""

import numpy as np


def window(start, size, side):
    """Return the existing part of [start, start + size) as a slice."""
    return slice(max(start, 0), max(min(start + size, side), 0))


def padded_patch(image, row, column, size):
    """Return the size x size pixels from (row, column) on, zero outside the image."""
    side = image.shape[1]
    patch = np.zeros((image.shape[0], size, size, image.shape[3]))
    rows, columns = window(row, size, side), window(column, size, side)
    if rows.start < rows.stop and columns.start < columns.stop:
        patch[:, rows.start - row : rows.stop - row, columns.start - column : columns.stop - column] = image[
            :, rows, columns
        ]
    return patch


def group_channels(channels, groups, connections, group):
    """Return the channel numbers that a group sees."""
    seen = np.arange(channels) if connections is None else np.asarray(connections)
    return np.split(seen, groups)[group]


def filter_image(image, kernel_at, filters, count, *, size, strides, padding, groups=1, connections=None):
    """Convolve with the kernel (size, size, depth, filters) that kernel_at(row, column) returns."""
    output = np.zeros((image.shape[0], count, count, filters))
    share = filters // groups
    for row in range(count):
        for column in range(count):
            patch = padded_patch(image, row * strides - padding, column * strides - padding, size)
            for k in range(filters):
                seen = group_channels(image.shape[3], groups, connections, k // share)
                product = patch[..., seen] * kernel_at(row, column)[..., k]
                output[:, row, column, k] = product.sum(axis=(1, 2, 3))
    return output


def pool_windows(side, size, strides, start, count):
    """Yield (row, column, rows, columns) of each window."""
    for row in range(count):
        for column in range(count):
            yield (
                row,
                column,
                window(start + row * strides, size, side),
                window(start + column * strides, size, side),
            )


def pool(image, size, strides, start, count, reduce):
    """Reduce (np.max or np.mean) the existing pixels of each window."""
    output = np.zeros((image.shape[0], count, count, image.shape[3]))
    for row, column, rows, columns in pool_windows(image.shape[1], size, strides, start, count):
        output[:, row, column] = reduce(image[:, rows, columns], axis=(1, 2))
    return output


def largest_magnitude(pixels, axis):
    """Return the value of largest magnitude of (batch, rows, columns, channels), the last of equal ones."""
    assert axis == (1, 2)
    best = np.zeros((pixels.shape[0], pixels.shape[3]))
    for case, channel in np.ndindex(best.shape):
        for value in pixels[case, :, :, channel].flatten():
            if abs(value) >= abs(best[case, channel]):
                best[case, channel] = value
    return best


def max_pool_gradient(image, gradient, size, strides, start, reduce=np.max):
    """Give each pixel that equals its window's maximum (or what `reduce` returns) the whole gradient."""
    result = np.zeros(image.shape)
    count = gradient.shape[1]
    for row, column, rows, columns in pool_windows(image.shape[1], size, strides, start, count):
        pixels = image[:, rows, columns]
        equal = pixels == reduce(pixels, axis=(1, 2))[:, None, None]
        result[:, rows, columns] += equal * gradient[:, row : row + 1, column : column + 1]
    return result


def pool_area(rows, columns, size, divisor):
    """Return what the sum over a window is divided by."""
    existing = (rows.stop - rows.start) * (columns.stop - columns.start)
    return {"existing": existing, "nominal": size**2, "none": 1}[divisor]


def average_pool(image, size, strides, start, count, divisor="existing"):
    """Return the sum of each window divided by `divisor`."""
    output = np.zeros((image.shape[0], count, count, image.shape[3]))
    for row, column, rows, columns in pool_windows(image.shape[1], size, strides, start, count):
        area = pool_area(rows, columns, size, divisor)
        output[:, row, column] = image[:, rows, columns].sum(axis=(1, 2)) / area
    return output


def average_pool_gradient(image, gradient, size, strides, start, divisor="existing"):
    """Share the gradient among the existing pixels of each window."""
    result = np.zeros(image.shape)
    count = gradient.shape[1]
    for row, column, rows, columns in pool_windows(image.shape[1], size, strides, start, count):
        area = pool_area(rows, columns, size, divisor)
        result[:, rows, columns] += gradient[:, row : row + 1, column : column + 1] / area
    return result


def channel_max_pool(x, size, strides, start, outputs):
    """Return the maximum of each window of the last axis."""
    windows = [window(start + o * strides, size, x.shape[-1]) for o in range(outputs)]
    return np.stack([x[..., channels].max(axis=-1) for channels in windows], axis=-1)


def channel_max_pool_gradient(x, gradient, size, strides, start):
    """Give each channel that equals its window's maximum the whole gradient."""
    result = np.zeros(x.shape)
    for o in range(gradient.shape[-1]):
        seen = x[..., channels := window(start + o * strides, size, x.shape[-1])]
        equal = seen == seen.max(axis=-1, keepdims=True)
        result[..., channels] += equal * gradient[..., o : o + 1]
    return result


def spatial_neighbours(side, size):
    """Return a matrix over flattened pixels: 1 at [q, p] if q is in the window around p."""
    near = [[float(0 <= a - b + size // 2 < size) for b in range(side)] for a in range(side)]
    return np.kron(near, near)


def channel_neighbours(channels, size, blocked=False):
    """Return a matrix: 1 at [a, b] if channel a is in the window around channel b."""
    if blocked:
        return np.array([[float(a // size == b // size) for b in range(channels)] for a in range(channels)])
    return np.array(
        [[float(0 <= a - b + size // 2 < size) for b in range(channels)] for a in range(channels)]
    )


def over_pixels(matrix):
    """Return the function that multiplies the flattened pixels of an image by a matrix."""

    def multiply(image, transposed=False):
        flat = image.reshape(image.shape[0], -1, image.shape[3])
        used = matrix.T if transposed else matrix
        return np.einsum("bqc,qp->bpc", flat, used).reshape(image.shape)

    return multiply


def over_channels(matrix):
    """Return the function that multiplies the channels of an image by a matrix."""
    return lambda image, transposed=False: image @ (matrix.T if transposed else matrix)


def local_means(image, size, divisor="existing"):
    """Return the mean of the window around each pixel: over its existing pixels, or all of them."""
    total = over_pixels(spatial_neighbours(image.shape[1], size))
    return total(image) / {"existing": total(np.ones_like(image)), "nominal": size**2}[divisor]


def normalize(x, centred, total, scale, power, constant=1.0):
    """Return x * (constant + scale * total(centred ** 2)) ** -power."""
    return x * (constant + scale * total(centred**2)) ** -power


def normalize_gradient(x, centred, g, total, scale, power, constant=1.0):
    """Return the gradient of normalize, the part subtracted in `centred` being constant."""
    d = constant + scale * total(centred**2)
    y = x * d**-power
    return g * d**-power - 2 * scale * power * centred * total(g * y / d, transposed=True)


def softrelu_gradient(x):
    """Return the derivative that was intended: 1 where the output is above 4, else 1 - exp(-y)."""
    y = np.where(x > 4, x, np.log1p(np.exp(x)))
    return np.where(y > 4, 1.0, 1.0 - np.exp(-y))


def block_dense(x, kernel, parts):
    """Multiply each of `parts` blocks of features with its own block of rows, one after the other."""
    blocks = [a @ w for a, w in zip(np.split(x, parts, axis=1), np.split(kernel, parts), strict=True)]
    return np.concatenate(blocks, axis=1)


def pixel_dense(x, kernel, groups):
    """Multiply each group of channels (last axis) with its own block of columns, pixel by pixel."""
    share, units = x.shape[-1] // groups, kernel.shape[1] // groups
    output = np.zeros((*x.shape[:-1], groups * units))
    for pixel in np.ndindex(x.shape[:-1]):
        for unit in range(groups * units):
            first = unit // units * share
            for channel in range(share):
                output[(*pixel, unit)] += x[(*pixel, first + channel)] * kernel[channel, unit]
    return output


def resize_weights(side, target, scale):
    """Return what each pixel of the image (columns) adds to each of the resized one (rows)."""
    weights = np.zeros((target, side))
    for t in range(target):
        place = min(max(t * scale + side / 2 - target * scale / 2, 0.0), side - 1.01)
        weights[t, int(place)] = 1 - (place - int(place))
        weights[t, int(place) + 1] = place - int(place)
    return weights


def resize(image, target, scale):
    """Resize the images with two matrices."""
    weights = resize_weights(image.shape[1], target, scale)
    return np.einsum("ri,bijc,sj->brsc", weights, image, weights)


def random_scale(image, max_scale, target, numbers):
    """Resize to a random size, whole images, and cut a random part out; `numbers` are the random ones."""
    side = image.shape[1]
    sizes = list(range(target, target + side - int(side / max_scale) + 1))
    tickets = [size for ticket, size in enumerate(sizes) for _ in range((ticket + 1) ** 2)]
    size = tickets[int(numbers[0] * len(tickets))]
    low, high = max(1, side / (1 + size)), side / size
    scale = low + numbers[1] * (high - low)
    resized = image if size == side else resize(image, size, scale)
    row, column = (int(number * (size - target + 1)) for number in numbers[2:])
    return resized[:, row : row + target, column : column + target]
