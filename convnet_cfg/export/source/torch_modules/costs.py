"""Costs as means over the cases of a minibatch; labels are class numbers, (N,) of torch.long."""

from itertools import pairwise

import torch
import torch.nn.functional as F


def bounded_log(x):
    """Return log(x), and -50 where x is not positive; the derivative is 1 / x there too, but 0 at 0."""
    log = torch.where(x == 0, 1, x).abs().log()
    return torch.where(x > 0, log, log - log.detach() - 50)


def cross_entropy(probabilities, targets):
    """Return minus the expected log probability, for targets that are distributions."""
    return -(targets * bounded_log(probabilities)).sum() / len(targets)


def binary_cross_entropy(predictions, targets, positive_weight=1.0):
    """Return the cross-entropy of predictions and targets from 0 to 1, summed over the outputs of a case."""
    positive = positive_weight * targets * bounded_log(predictions)
    negative = (1 - targets) * bounded_log(1 - predictions)
    return -(positive + negative).sum() / len(targets)


def known_binary_cross_entropy(predictions, targets):
    """Return the cross-entropy of predictions and targets from 0 to 1, summed over the outputs of a case.

    Outputs whose target is -1 have none.
    """
    terms = targets * bounded_log(predictions) + (1 - targets) * bounded_log(1 - predictions)
    return -terms[targets != -1].sum() / len(targets)


def known_logistic_cross_entropy(logits, targets):
    """Return the cross-entropy of sigmoid(logits) and targets from 0 to 1, summed over the outputs of a case.

    Outputs whose target is -1 have none.
    """
    known = targets != -1
    total = F.binary_cross_entropy_with_logits(logits[known], targets[known], reduction="sum")
    return total / len(targets)


def log_loss(probabilities, labels):
    """Return -log of the label's probability; those of other classes may be 0."""
    return -probabilities.gather(1, labels[:, None]).log().sum() / len(labels)


def known_log_loss(probabilities, labels):
    """Return -log of the label's probability; cases with the label -1 have none, but they count."""
    known = labels != -1
    return -probabilities[known].gather(1, labels[known, None]).log().sum() / len(labels)


def log_loss_of_task(probabilities, labels, tasks, task):
    """Return -log of the label's probability; cases of other tasks have none, but they count."""
    chosen = tasks.flatten() == task
    return -probabilities[chosen].gather(1, labels[chosen, None]).log().sum() / len(labels)


def cross_entropy_of_task(logits, labels, tasks, task):
    """Return the cross-entropy of softmax(logits); cases of other tasks have none, but they count."""
    chosen = tasks.flatten() == task
    return F.cross_entropy(logits[chosen], labels[chosen], reduction="sum") / len(labels)


def hinge_loss(values, labels):
    """Return max(0, 1 + the largest value of another class - the label's).

    Of several largest values the first gets the gradient, as in cuda-convnet.
    """
    others = values.detach().scatter(1, labels[:, None], -torch.inf)
    rival = values.gather(1, others.argmax(1, keepdim=True))
    return F.relu(1 + rival - values.gather(1, labels[:, None])).sum() / len(values)


def root_with_margin(squares, margin):
    """Return the square root; in its derivative, 1 / (2 * (root + margin)), the margin keeps 0 finite."""
    root = squares.detach().sqrt()
    return root + (squares - squares.detach()) / (2 * (root + margin))


def topographic_energy(image, size):
    """Return the sum of the roots of sums of x ** 2 over the size x size window around each pixel.

    In the gradient a root is 0.001 larger, as in cuda-convnet: that of 0 would be infinite.
    """
    around = (size // 2, (size - 1) // 2) * 2
    squares = F.avg_pool2d(F.pad(image.square(), around), size, stride=1, divisor_override=1)
    return root_with_margin(squares, 0.001).sum() / len(image)


def group_sparsity(values, labels):
    """Return the sum of root[l, c] = sqrt(n[l] * sum of x ** 2) over labels l and channels c.

    The sum is over the n[l] cases of label l and their pixels; values are (N, channels, pixels). In the
    gradient a root is 2.5e-7 larger, as in cuda-convnet: that of 0 would be infinite.
    """
    groups = [values[labels == label] for label in labels.unique()]
    squares = torch.stack([len(group) * group.square().sum((0, 2)) for group in groups])
    return root_with_margin(squares, 2.5e-7).sum() / len(values)


def contrastive(values, labels, margin):
    """Return d ** 2 / 2 for pairs of one label, else max(0, margin - d) ** 2 / 2, d being their distance.

    A case and that half a minibatch further are a pair.
    """
    half = len(values) // 2
    pairs = slice(half), slice(half, 2 * half)
    first, second = (values[part] for part in pairs)
    same = torch.eq(*(labels[part] for part in pairs))
    distance = torch.linalg.vector_norm(first - second, dim=1) + 1e-8
    gap = torch.where(same, distance, F.relu(margin - distance))
    return gap.square().sum() / (2 * len(values))


def ranking(first, second, third, weights, coefficient=1.0):
    """Return w max(0, 5 + sum of b1 (b3 - b2) / 2), b = 2 x - 1 of three codes, w of (N, 1).

    The gradient of the first code has a further part as in cuda-convnet, 2 w mean(b1) / N for each case,
    which the `coefficient` of the cost does not multiply.
    """
    signs, nearer, farther = (2 * code - 1 for code in (first, second, third))
    costs = weights * F.relu(5 + (signs * (farther - nearer)).sum(1, keepdim=True) / 2)
    pull = 2 * weights * signs.detach().mean(0) / len(first)
    further = pull / coefficient * (first - first.detach())
    return (costs.sum() + further.sum()) / len(first)


def subset_loss(energies, labels, size):
    """Return -log of the probability that a random set of `size` classes has the label in it.

    P(A) is proportional to exp(sum of the energies in A).
    """
    places = labels[:, None]
    others = energies.scatter(1, places, -1e30)  # as good as -inf, which would have no gradient
    inside = log_sum_of_sets(others, size - 1) + energies.gather(1, places)[:, 0]
    return (log_sum_of_sets(energies, size) - inside).sum() / len(energies)


def log_sum_of_sets(energies, size):
    """Return the logarithm of the sum of exp(sum of energies) over all sets of `size` classes."""
    nothing = torch.full_like(energies[:, 0], -1e30)
    sums = [torch.zeros_like(nothing), *[nothing] * size]  # of sets of 0, 1, 2 ... of the classes so far
    for energy in energies.unbind(1):
        with_it = (torch.logaddexp(old, fewer + energy) for fewer, old in pairwise(sums))
        sums = [sums[0], *with_it]
    return sums[-1]
