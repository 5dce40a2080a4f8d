"""The costs once more in NumPy float64, case by case, as plainly as possible. Each returns rows (lists)."""

from itertools import combinations

import numpy as np


def top_error(label, scores, top_k=1):
    """Return the share of the orders of equal scores in which the label is not among the first top_k."""
    above = sum(score > scores[label] for score in scores)
    ties = sum(score == scores[label] for score in scores)
    places = [above + place for place in range(ties)]
    return sum(place >= top_k for place in places) / ties


def logreg(label, probabilities, top_k=None):
    counts = (1,) if top_k is None else (1, top_k)
    return [-np.log(probabilities[label]), *(top_error(label, probabilities, k) for k in counts)]


def hinge(label, values):
    rival = max(value for index, value in enumerate(values) if index != label)
    return [max(0.0, 1 + rival - values[label]), top_error(label, values)]


def floor_log(u):
    return np.log(u) if u > 0 else -50.0


def cross_entropy(targets, probabilities):
    cost = -sum(q * floor_log(p) for q, p in zip(targets, probabilities, strict=True))
    largest = [q for q, p in zip(targets, probabilities, strict=True) if p == max(probabilities)]
    return [cost, 1 - 1 / len(largest) if any(q > 0 for q in largest) else 1.0]


def binary(targets, predictions, weight=1.0):
    pairs = list(zip(targets, predictions, strict=True))
    cost = -sum(weight * t * floor_log(y) + (1 - t) * floor_log(1 - y) for t, y in pairs)
    wrong = sum(float(y > 0.5) != t for t, y in pairs) / len(pairs)
    largest = [t for t, y in pairs if y == max(predictions)]
    return [cost, wrong, 1 - sum(largest) / len(largest)]


def detection(targets, predictions, weight=1.0):
    counts = []
    for t, y in zip(targets, predictions, strict=True):
        counts += [float(y > 0.5), t, t * (float(y > 0.5) == t)]
    return binary(targets, predictions, weight)[:2] + counts


def masked_binary(targets, predictions):
    """Return [cost, sum of true positive rates, sum of false positive rates] of a minibatch."""
    cost, counts = 0.0, {0: [], 1: []}
    for t, y in zip(targets.ravel(), predictions.ravel(), strict=True):
        if t != -1:
            cost -= np.log(y) if t == 1 else np.log(1 - y)
            counts[int(t)].append(y > 0.5)
    rates = [np.mean(counts[t]) if counts[t] else 0.0 for t in (1, 0)]
    return [cost, len(targets) * rates[0], len(targets) * rates[1]]


def subset_log_probability(label, energies, size):
    sets = list(combinations(range(len(energies)), size))
    weights = [np.exp(sum(energies[i] for i in chosen)) for chosen in sets]
    inside = sum(w for chosen, w in zip(sets, weights, strict=True) if label in chosen)
    return np.log(inside / sum(weights))


def window_energies(image, size):
    """Yield (channel, root, pixels of the window) of each window of (side, side, channels)."""
    side, low = len(image), size // 2
    for row, column, channel in np.ndindex(image.shape):
        near = [
            (r, c, channel)
            for r in range(row - low, row - low + size)
            for c in range(column - low, column - low + size)
            if 0 <= r < side and 0 <= c < side
        ]
        yield np.sqrt(sum(image[pixel] ** 2 for pixel in near)), near


def topographic_gradient(image, size):
    result = np.zeros(image.shape)
    for root, near in window_energies(image, size):
        for pixel in near:
            result[pixel] += image[pixel] / (root + 0.001)
    return result


def group_roots(labels, image):
    """Yield (cases, channel, root) of each label and channel of (cases, ..., channels)."""
    for label in sorted(set(labels)):
        chosen = [n for n, other in enumerate(labels) if other == label]
        for channel in range(image.shape[-1]):
            squares = sum((image[n, ..., channel] ** 2).sum() for n in chosen)
            yield chosen, channel, np.sqrt(len(chosen) * squares)


def group_gradient(labels, image):
    result = np.zeros(image.shape)
    for chosen, channel, root in group_roots(labels, image):
        for n in chosen:
            result[n, ..., channel] = len(chosen) * image[n, ..., channel] / (root + 2.5e-7)
    return result


def contrastive(labels, x, margin):
    """Return the cost of each pair."""
    half, costs = len(x) // 2, []
    for n in range(half):
        distance = np.sqrt(((x[n] - x[n + half]) ** 2).sum()) + 1e-8
        gap = distance if labels[n] == labels[n + half] else max(0.0, margin - distance)
        costs.append(gap**2 / 2)
    return costs


def ranking(first, second, third, weight):
    bits = [2 * x - 1 for x in (first, second, third)]
    return [weight * max(0.0, 5 + 0.5 * (bits[0] * (bits[2] - bits[1])).sum())]
