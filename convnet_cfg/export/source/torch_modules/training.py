"""Updates that torch.optim.SGD does not make."""

import math
from types import SimpleNamespace

import torch


class VelocitySGD(torch.optim.Optimizer):
    """V = m V - e (G + d W), W = W + V, with the learning rate e inside of the velocity.

    torch.optim.SGD has it outside: there a new rate also counts for all that the velocity has gathered.
    """

    def __init__(self, groups):
        super().__init__(groups, {"weight_decay": 0.0})

    @torch.no_grad()
    def step(self):
        """Update all parameters."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:  # it is not updated now
                    continue
                velocity = self.state[weight].setdefault("velocity", torch.zeros_like(weight))
                gradient = weight.grad + group["weight_decay"] * weight
                velocity.mul_(group["momentum"]).sub_(gradient, alpha=group["lr"])
                weight.add_(velocity)


def forgetting_dropped(layer):
    """Return a function to be called before each step: weights that were dropped lose their velocity."""

    @torch.no_grad()
    def forget(optimizer, arguments, options):
        velocity = optimizer.state[layer.weight].get("momentum_buffer")
        if velocity is not None:
            velocity.mul_(layer.weight_kept)

    return forget


@torch.no_grad()
def give_zero_gradients(optimizer, arguments, options):
    """Give a gradient of 0 to each weight that has none, as no cost depends on it: it decays all the same."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)


# -- learning rates as functions of the progress of a training, from 0 to 1


def constant(base):
    """Return the rate `base` at all times."""
    return lambda progress: base


def linear(base, factor):
    """Return rates that fall from `base` to base / factor in a straight line."""
    return lambda progress: base * (1 - progress) + base / factor * progress


def exponential(base, factor):
    """Return rates that fall from `base` to base / factor by the same share in equal times."""
    return lambda progress: base * factor**-progress


def steps(base, factor, count):
    """Return rates that fall from `base` to base / factor in `count` equal steps."""
    return lambda progress: base * factor ** (-step_of(progress, count) / (count - 1))


def smoothed_steps(base, factor, count):
    """Return `steps` with half a step back in the second half of each step, from 0.2 to 0.9 of all."""

    def rate(progress):
        step = step_of(progress, count)
        early = 0.5 if step > 0 and 0.2 < progress < 0.9 and progress > (step + 0.5) / count else 0
        return base * factor ** (-(step - early) / (count - 1))

    return rate


def epoch_steps(base, tau, count, epochs):
    """Return rates that fall from `base` by the factor e in `tau` epochs, in `count` equal steps in each."""
    return lambda progress: base * math.exp(-step_of(progress, count * epochs + 1) / (tau * count))


def step_of(progress, count):
    """Return the smallest i with progress <= (i + 1) / count."""
    start = max(math.ceil(progress * count) - 2, 0)  # not before it, whatever the rounding
    return next(step for step in range(start, count) if progress <= (step + 1) / count)


# -- updates after several minibatches


@torch.no_grad()
def gather_gradients(optimizer, arguments, options):
    """Give each weight the mean gradient of a period of minibatches, and none before that is over."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if weight.grad is not None:
                weight.grad = mean_of_period(optimizer.state[weight], weight.grad, group["period"])


@torch.no_grad()
def gather_at_rates(optimizer, arguments, options):
    """Give each weight the mean gradient of a period of minibatches, and none before that is over.

    With `own_rates` each gradient counts with the learning rate of its minibatch, not with the last one.
    """
    for group in optimizer.param_groups:
        factor = group["lr"] if group["own_rates"] else 1.0
        for weight in group["params"]:
            if weight.grad is not None:
                mean = mean_of_period(optimizer.state[weight], factor * weight.grad, group["period"])
                weight.grad = None if mean is None else mean / factor


def mean_of_period(state, gradient, period):
    """Return the mean of the gradients of a period of minibatches, None before that is over."""
    total = state.pop("gathered", 0.0) + gradient
    count = state.pop("minibatches", 0) + 1
    if count < period:
        state.update(gathered=total, minibatches=count)
        return None
    return total / period


def when_due(hook):
    """Return a hook for those groups of an optimizer whose weights are updated in this step."""

    def narrowed(optimizer, arguments, options):
        groups = [group for group in optimizer.param_groups if group["params"][0].grad is not None]
        hook(SimpleNamespace(param_groups=groups), arguments, options)

    return narrowed


# -- weight decay beside the velocity


def of_kind(kind, hook):
    """Return a hook for those groups of an optimizer that have weight decay of this kind."""

    def narrowed(optimizer, arguments, options):
        groups = [{**group, "decay": group[kind]} for group in optimizer.param_groups if kind in group]
        hook(SimpleNamespace(param_groups=groups), arguments, options)

    return narrowed


@torch.no_grad()
def decay_by_share(optimizer, arguments, options):
    """Take the share `decay` off each weight, whatever its learning rate: decoupled weight decay."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.mul_(1 - group["decay"])


@torch.no_grad()
def decay_by_rate(optimizer, arguments, options):
    """Take the learning rate times `decay` off each weight, as torch.optim.AdamW does."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.mul_(1 - group["lr"] * group["decay"])


@torch.no_grad()
def decay_by_schedule(optimizer, arguments, options):
    """Take `decay` off each weight in the measure in which its learning rate has changed."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.mul_(1 - group["lr"] / group["initial_lr"] * group["decay"])


@torch.no_grad()
def decay_by_long_run_rate(optimizer, arguments, options):
    """Take `decay` times what a gradient of 1 moves a weight in the long run, lr / (1 - momentum), off it."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.mul_(1 - group["lr"] / (1 - group["momentum"]) * group["decay"])


# -- what weights are held to after each step; `dim` are those of the weights of one unit or filter


@torch.no_grad()
def set_norm(weight, norm, dim):
    """Give the weights of each unit this L2 norm; zeros stay."""
    found = torch.linalg.vector_norm(weight, dim=dim, keepdim=True)
    weight.mul_(torch.where(found > 0, norm / found, 1.0))


@torch.no_grad()
def limit_norm(weight, limit, dim):
    """Shrink the weights of those units whose L2 norm is above the limit."""
    found = torch.linalg.vector_norm(weight, dim=dim, keepdim=True)
    weight.mul_(torch.where(found > limit, limit / found, 1.0))


@torch.no_grad()
def limit_spread(weight, least, most, dim):
    """Scale the weights of those filters whose spread is below `least` or above `most`.

    The spread of n weights is the L2 norm of their distances from their mean, divided by n.
    """
    distances = weight - weight.mean(dim=dim, keepdim=True)
    spread = torch.linalg.vector_norm(distances, dim=dim, keepdim=True) / weight[0].numel()
    weight.mul_(torch.where(spread > 0, spread.clamp(least, most) / spread, 1.0))
