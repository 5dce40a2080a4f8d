"""Costs of each case, shape (cases,); labels are class numbers, of shape (cases,) or (cases, 1)."""

from keras import ops


def with_gradient_of(cost, x, slope):
    """Return the cost of each case with this gradient by x, and no other."""
    return ops.stop_gradient(cost) + ops.sum(
        ops.stop_gradient(slope) * (x - ops.stop_gradient(x)), axis=tuple(range(1, len(x.shape)))
    )


def class_numbers(labels):
    """Return labels as integers, shape (cases,)."""
    return ops.cast(ops.reshape(labels, (-1,)), "int32")


def at_label(labels, values):
    """Return the value at the label of each case."""
    return ops.sum(values * ops.one_hot(class_numbers(labels), values.shape[-1], dtype=values.dtype), axis=-1)


def minus_log_of_label(labels, probabilities):
    """Return -log of the label's probability."""
    return -ops.log(at_label(labels, probabilities))


def softmax_cost_of_some(counted, labels, logits):
    """Return -log of the label's probability, softmax(logits), and 0 for the cases that are not counted."""
    labels = ops.where(counted, class_numbers(labels), 0)
    costs = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return ops.where(counted, costs, 0.0)


def cost_of_some(counted, labels, probabilities):
    """Return -log of the label's probability, and 0 for the cases that are not counted."""
    own = at_label(ops.where(counted, class_numbers(labels), 0), probabilities)
    return ops.where(counted, -ops.log(ops.where(counted, own, 1.0)), 0.0)


def bounded_log(x):
    """Return log x, and -50 where x is not positive; the gradient is 1 / x there too, but 0 at 0."""
    value = ops.where(x > 0, ops.log(ops.where(x > 0, x, 1.0)), -50.0)
    slope = ops.where(x == 0, 0.0, 1.0 / ops.where(x == 0, 1.0, x))
    return ops.stop_gradient(value) + ops.stop_gradient(slope) * (x - ops.stop_gradient(x))


def cross_entropy(targets, probabilities):
    """Return minus the sum of q log p over the classes, q being the target."""
    return -ops.sum(targets * bounded_log(probabilities), axis=-1)


def softmax_cross_entropy(targets, logits):
    """Return the cross-entropy of softmax(logits); its gradient is softmax(logits) - targets."""
    probabilities = ops.softmax(logits)
    return with_gradient_of(cross_entropy(targets, probabilities), logits, probabilities - targets)


def binary_cross_entropy(targets, predictions, positive_weight):
    """Return minus the sum of w t log y + (1 - t) log(1 - y) over the outputs; w weighs the positives."""
    positive = positive_weight * targets * bounded_log(predictions)
    return -ops.sum(positive + (1.0 - targets) * bounded_log(1.0 - predictions), axis=-1)


def logistic_cross_entropy(targets, logits, positive_weight):
    """Return the binary cross-entropy of logistic(logits)."""
    positive = positive_weight * targets * ops.softplus(-logits)
    return ops.sum(positive + (1.0 - targets) * ops.softplus(logits), axis=-1)


def known_binary_cross_entropy(targets, predictions):
    """Return minus the sum of t log y + (1 - t) log(1 - y) over the outputs whose target is not -1."""
    terms = targets * bounded_log(predictions) + (1.0 - targets) * bounded_log(1.0 - predictions)
    return -ops.sum(ops.where(targets == -1, 0.0, terms), axis=-1)


def known_logistic_cross_entropy(targets, logits):
    """Return the binary cross-entropy of logistic(logits) over the outputs whose target is not -1."""
    terms = targets * ops.softplus(-logits) + (1.0 - targets) * ops.softplus(logits)
    return ops.sum(ops.where(targets == -1, 0.0, terms), axis=-1)


def hinge_loss(labels, values):
    """Return max(0, 1 + the largest value of another class - the label's); of several, the first counts."""
    own = ops.one_hot(class_numbers(labels), values.shape[-1], dtype=values.dtype)
    others = ops.stop_gradient(ops.where(own > 0, float("-inf"), values))
    rival = ops.one_hot(ops.argmax(others, axis=-1), values.shape[-1], dtype=values.dtype)
    return ops.relu(1.0 + ops.sum(values * rival, axis=-1) - ops.sum(values * own, axis=-1))


def contrastive(labels, values, margin):
    """Return the costs of pairs, each case with that half a minibatch further; each has half of it.

    d ** 2 / 2 where the labels are equal, else max(0, margin - d) ** 2 / 2, d being the distance.
    """
    half = ops.shape(values)[0] // 2
    first, second = slice(None, half), slice(half, 2 * half)
    numbers = class_numbers(labels)
    squares = ops.sum(ops.square(values[first] - values[second]), axis=-1)
    apart = squares > 0
    distance = ops.where(apart, ops.sqrt(ops.where(apart, squares, 1.0)), 0.0) + 1e-8
    gap = ops.where(numbers[first] == numbers[second], distance, ops.relu(margin - distance))
    shares = ops.square(gap) / 4
    return ops.concatenate([shares, shares, ops.zeros_like(values[2 * half :, 0])])


def ranking(first, second, third, weights, coefficient):
    """Return w max(0, 5 + sum of b1 (b3 - b2) / 2), b = 2 x - 1 of three codes.

    The gradient of the first code has a further part, 2 w mean(b1) / cases, that no coefficient multiplies.
    """
    signs, nearer, farther = (2.0 * x - 1.0 for x in (first, second, third))
    costs = weights[:, 0] * ops.relu(5.0 + ops.sum(signs * (farther - nearer), axis=-1) / 2)
    pull = 2.0 * weights * ops.mean(signs, axis=0) / ops.cast(ops.shape(first)[0], first.dtype)
    return costs + with_gradient_of(ops.zeros_like(costs), first, pull / coefficient)


def topographic_energy(images, size):
    """Return the sum of root[p] = sqrt(sum of x ** 2 over the size x size window around p).

    Its gradient is x times the sum of 1 / (root[p] + 0.001) over the windows.
    """
    root = ops.sqrt(sum_of_windows(ops.square(images), size, size // 2))
    slope = images * sum_of_windows(1.0 / (root + 0.001), size, (size - 1) // 2)
    return with_gradient_of(ops.sum(root, axis=(1, 2, 3)), images, slope)


def sum_of_windows(images, size, before):
    """Return the sum over the size x size window of each pixel, which begins `before` pixels before it."""
    around = (before, size - 1 - before)
    padded = ops.pad(images, [(0, 0), around, around, (0, 0)])
    return ops.average_pool(padded, size, 1, "valid") * size**2


def group_sparsity(labels, pixels):
    """Return, in equal parts for each case, the sum of root[l, c] over labels and channels.

    root[l, c] = sqrt(n[l] * sum of x ** 2 over the n[l] cases of label l and their pixels), and the gradient
    is n[l] * x / (root[l, c] + 2.5e-7).
    """
    numbers = class_numbers(labels)
    same = ops.cast(numbers[:, None] == numbers, pixels.dtype)
    count = ops.sum(same, axis=1, keepdims=True)
    root = ops.sqrt(count * ops.matmul(same, ops.sum(ops.square(pixels), axis=1)))
    costs = ops.ones_like(count[:, 0]) * ops.mean(ops.sum(root / count, axis=1))
    return with_gradient_of(costs, pixels, pixels * (count / (root + 2.5e-7))[:, None])


def subset_cost(labels, energies, size):
    """Return -log of the probability that a random set of `size` classes has the label in it.

    P(A) is proportional to exp(sum of the energies in A); the sums over all sets are made class by class.
    """
    others = ops.where(ops.one_hot(class_numbers(labels), energies.shape[-1]) > 0, float("-inf"), energies)
    return log_sum_of_sets(energies, size) - log_sum_of_sets(others, size - 1) - at_label(labels, energies)


def log_sum_of_sets(energies, size):
    """Return the logarithm of the sum of exp(sum of energies) over all sets of `size` classes."""
    nothing = ops.full_like(energies[:, 0], -1e30)
    sums = [ops.zeros_like(nothing), *[nothing] * size]
    for k in range(energies.shape[-1]):
        chosen = [ops.maximum(each + energies[:, k], -1e30) for each in sums[:-1]]
        sums = [sums[0], *(ops.logaddexp(old, new) for old, new in zip(sums[1:], chosen, strict=True))]
    return sums[-1]
