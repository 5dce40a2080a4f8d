"""Weights after 50 steps of optax in double precision, in a process of its own: `python optax_runs.py FILE`.

JAX decides once for a process on double precision, and warns when a process that holds it is forked.
"""

import sys

import numpy as np


def combined(rule, position, decay, rate, d, e0):
    """The chain of optax for one group; rate: a schedule, a function of the step."""
    import optax

    def negative(schedule):
        return lambda step: -schedule(step)

    nesterov, m = rule == "nesterov", 0.875
    scale = optax.scale_by_learning_rate(rate)
    if rule == "adam":
        moves = [optax.scale_by_adam(b1=m, b2=0.99, eps=1e-3), scale]
    else:
        moves = [optax.trace(m, nesterov=nesterov), scale]
        moves = moves[::-1] if position == "inside" else moves
    gain = 1 if rule == "adam" else 1 / (1 - m)
    shares = {
        "decoupled": lambda step: d,
        "decoupled-lr": lambda step: rate(step) * d,
        "decoupled-schedule": lambda step: rate(step) / e0 * d,
        "decoupled-matched": lambda step: rate(step) * gain * d,
    }
    if decay in shares:
        return optax.chain(*moves, optax.add_decayed_weights(negative(shares[decay])))
    if decay == "after-step":
        # (1 - d) (W + D) = W + (1 - d) D - d W
        return optax.chain(*moves, optax.scale(1 - d), optax.add_decayed_weights(-d))
    if decay == "none":
        return optax.chain(*moves)
    return optax.chain(optax.add_decayed_weights(d), *moves)


def run(transforms):
    """Weights after the steps; transforms: one for each variable, which makes a group."""
    import jax
    import jax.numpy as jnp
    import optax
    from peer_cases import STARTS, STEPS

    weights = {name: jnp.asarray(start) for name, start in STARTS.items()}
    optimizer = optax.partition(transforms, {name: name for name in weights})
    state = optimizer.init(weights)

    @jax.jit
    def step(weights, state):
        gradients = {name: jnp.sin(w) + 0.1 for name, w in weights.items()}
        updates, state = optimizer.update(gradients, state, weights)
        return optax.apply_updates(weights, updates), state

    for _ in range(STEPS):
        weights, state = step(weights, state)
    return {name: np.asarray(w) for name, w in weights.items()}


def ready_made(rates, decays, e0):
    """The optimizers that optax has by name, for the combinations that they are."""
    import optax

    adam = {"b1": 0.875, "b2": 0.99, "eps": 1e-3}
    makers = {
        ("momentum", "outside", "none"): lambda rate, d, e0: optax.sgd(rate, 0.875),
        ("nesterov", "outside", "none"): lambda rate, d, e0: optax.sgd(rate, 0.875, nesterov=True),
        ("adam", None, "none"): lambda rate, d, e0: optax.adam(rate, **adam),
        ("adam", None, "decoupled-lr"): lambda rate, d, e0: optax.adamw(rate, weight_decay=d, **adam),
        ("adam", None, "decoupled-schedule"): lambda rate, d, e0: optax.adamw(
            rate, weight_decay=d / e0, **adam
        ),
    }
    return {
        names: {name: make(rates[name], decays[name], e0[name]) for name in rates}
        for names, make in makers.items()
    }


def main(target):
    import jax

    jax.config.update("jax_enable_x64", True)
    import optax
    from optim_reference import COMBINATIONS, combination_id
    from peer_cases import CHANGES, DECAYS_OF, RATES

    def schedule(name):
        factors = [CHANGES[begin] for begin in sorted(CHANGES)]
        constants = [optax.constant_schedule(RATES[name] * factor) for factor in factors]
        return optax.join_schedules(constants, sorted(CHANGES)[1:])

    rates = {name: schedule(name) for name in RATES}
    results = {}
    for names in COMBINATIONS:
        chains = {name: combined(*names, rates[name], DECAYS_OF[name], RATES[name]) for name in RATES}
        results |= {f"{combination_id(names)}:{name}": w for name, w in run(chains).items()}
    for names, optimizers in ready_made(rates, DECAYS_OF, RATES).items():
        results |= {f"ready-{combination_id(names)}:{name}": w for name, w in run(optimizers).items()}
    np.savez(target, **results)


if __name__ == "__main__":
    main(sys.argv[1])
