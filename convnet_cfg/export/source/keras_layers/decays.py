"""Steps of a weight, one for each kind of weight decay: W and V are weight and velocity, G is the gradient.

e is the learning rate, m the momentum, d the weight decay.
"""


def no_decay(weight, velocity, gradient, rate, momentum, decay):
    """Return what W and V become: V = m V - e G; W = W + V."""
    velocity = momentum * velocity - rate * gradient
    return weight + velocity, velocity


def coupled(weight, velocity, gradient, rate, momentum, decay):
    """Return what W and V become: V = m V - e (G + d W); W = W + V."""
    velocity = momentum * velocity - rate * (gradient + decay * weight)
    return weight + velocity, velocity


def decoupled(weight, velocity, gradient, rate, momentum, decay):
    """Return what W and V become: V = m V - e G; W = W + V - d W."""
    velocity = momentum * velocity - rate * gradient
    return weight + velocity - decay * weight, velocity


def decoupled_lr(weight, velocity, gradient, rate, momentum, decay):
    """Return what W and V become: V = m V - e G; W = W + V - e d W."""
    velocity = momentum * velocity - rate * gradient
    return weight + velocity - rate * decay * weight, velocity


def decoupled_schedule(first_rate):
    """Return a step with e0 = `first_rate`: V = m V - e G; W = W + V - (e/e0) d W."""

    def step(weight, velocity, gradient, rate, momentum, decay):
        velocity = momentum * velocity - rate * gradient
        return weight + velocity - rate / first_rate * decay * weight, velocity

    return step


def decoupled_matched(weight, velocity, gradient, rate, momentum, decay):
    """Return what W and V become: V = m V - e G; W = W + V - e/(1-m) d W."""
    velocity = momentum * velocity - rate * gradient
    return weight + velocity - rate / (1 - momentum) * decay * weight, velocity


def after_step(weight, velocity, gradient, rate, momentum, decay):
    """Return what W and V become: V = m V - e G; W = (1 - d) (W + V)."""
    velocity = momentum * velocity - rate * gradient
    return (1 - decay) * (weight + velocity), velocity
