"""The Keras optimizer over parameter groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import reduce
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, TypeVar

import keras
from keras import ops

from convnet_cfg.optim.columns import is_active, numbers_of
from convnet_cfg.optim.groups import NUMBERS, Group, named
from convnet_cfg.optim.handles import GroupHandle, Groups
from convnet_cfg.optim.rules import DECAYS, Numbers, Settings
from convnet_cfg.optim.saving import from_config, to_config
from convnet_cfg.optim.schedules import ProgressSchedule
from convnet_cfg.optim.selection import share_out
from convnet_cfg.optim.steps import IN_TENSORFLOW, Gathering, Slot, make_step
from convnet_cfg.optim.steps import update as update_variable
from convnet_cfg.optim.table import Table, variable_table

__all__ = ["GroupHandle", "GroupedOptimizer"]

T = TypeVar("T")

if IN_TENSORFLOW:
    from convnet_cfg.optim import fused


def _widest() -> str:
    """Return the type of numbers: double precision, so that each is rounded once, where there is any."""
    if keras.backend.backend() == "torch":
        import torch

        return "float32" if torch.backends.mps.is_available() else "float64"
    return "float32" if keras.backend.backend() == "jax" else "float64"


WIDE = _widest()


def _outside_of_graph(read: Callable[[], T]) -> T:
    return fused.outside_of_graph(read) if IN_TENSORFLOW else read()


@keras.saving.register_keras_serializable("convnet_cfg")
class GroupedOptimizer(keras.optimizers.Optimizer):
    """Momentum, Nesterov or Adam in which each group of variables has its own rate, momentum and decay.

    One step of a variable, e.g. of momentum with decay `cuda-convnet` (`RULES` and `DECAYS` have the
    other formulas):

        V = m V - e (G + d W);  W = W + V

    `learning_rate` is one factor over all groups, 1.0 at first: e = learning_rate * the group's. Keras'
    callbacks set it, and so keep the ratios of the groups.

    A group is frozen while its e is zero or below: nothing of it changes, whatever its gradients are.
    Variables that are not handed to `apply`, or have no gradient, are left alone, as in Keras.
    """

    def __init__(
        self,
        groups: Iterable[Group],
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1.0,
        *,
        total_steps: int | None = None,
        name: str = "grouped_optimizer",
        **keras_options: Any,
    ) -> None:
        """Make the variables that hold the groups' numbers; what is kept for each weight comes with `build`.

        Args:
            groups: at least one.
            learning_rate: the factor over all groups, or a schedule of it.
            total_steps: of the whole training: calls of `apply`; needed by a `ProgressSchedule`.
            name: of the optimizer.
            keras_options: those of every Keras optimizer: clipnorm, clipvalue, global_clipnorm (one norm over
                all groups), use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor,
                gradient_accumulation_steps.

        Raises:
            ValueError: there is no group, two have the same name, a number is out of its range, or a
                group follows the progress of a training of unknown length.
            TypeError: a number is not a number.
        """
        if keras_options.get("weight_decay") is not None:
            raise ValueError("weight_decay is a number of each group, not of the optimizer")
        by_name = named(groups)
        super().__init__(learning_rate=_checked_factor(learning_rate), name=name, **keras_options)
        self.total_steps = _checked_total(total_steps, by_name)
        self.numbers: Mapping[str, Any] = MappingProxyType(
            {field: self._add_numbers(field, by_name.values()) for field in NUMBERS}
        )
        self._groups = Groups(
            {
                name: GroupHandle(replace(group, name=name), index, self)
                for index, (name, group) in enumerate(by_name.items())
            }
        )
        self._slots: Mapping[Any, Slot] = MappingProxyType({})
        self._made_at_first = len(self.variables)

    def _add_numbers(self, field: str, groups: Iterable[Group]) -> Any:
        values = [value if isinstance(value := getattr(group, field), float) else 0.0 for group in groups]
        variable = self.add_variable((len(values),), dtype=WIDE, name=f"group_{field}")
        variable.assign(values)
        return variable

    @property
    def learning_rate(self) -> Any:
        """The factor over all groups: a variable, or what its schedule gives; finite and >= 0 when set."""
        return super().learning_rate

    @learning_rate.setter
    def learning_rate(self, factor: Any) -> None:
        if not callable(factor) and not isinstance(factor, Real):
            factor = float(ops.convert_to_numpy(factor))
        keras.optimizers.Optimizer.learning_rate.fset(self, _checked_factor(factor))

    @property
    def groups(self) -> Groups:
        """The groups by name, to read and set their numbers while training."""
        return self._groups

    def build(self, variables: Sequence[Any]) -> None:
        """Share the variables out to the groups, and make a velocity of zeros for each.

        Raises:
            ValueError: a variable is in no group or in several, or a group names one that is not there; the
                message lists all of them.
        """
        if self.built:
            return
        groups = _outside_of_graph(lambda: {name: handle.as_group() for name, handle in self._groups.items()})
        shares = share_out(groups, variables)
        super().build(list(variables))
        owners: dict[int, tuple[Any, int, Group]] = {}
        for index, (name, handle) in enumerate(self._groups.items()):
            handle._variables = shares[name]
            owners |= {id(variable): (variable, index, groups[name]) for variable in shares[name]}
        # In the order of the model, as in every optimizer of Keras; those that are not trained come last.
        order = dict.fromkeys([*map(id, variables), *owners])
        self._slots = MappingProxyType(
            {self._var_key(owners[key][0]): self._new_slot(*owners[key]) for key in order}
        )

    def _new_slot(self, variable: Any, index: int, group: Group) -> Slot:
        state = tuple(self._new_state(variable, name) for name in group.update_rule.slots)
        gathering = None
        if group.period > 1:
            total = self.add_variable_from_reference(variable, "gathered")
            count = self.add_variable((), dtype="int64", initializer="zeros", name="gathered_steps")
            gathering = Gathering(total, count, group.period, group.gathers_moves)
        slot = Slot(state, index, group, gathering, None)
        # A constraint may be any function, which XLA need not know how to compile.
        if not (IN_TENSORFLOW and group.constraint is None and fused.is_large(variable)):
            return slot
        targets = [part.value for part in (variable, *state)]
        compiled = fused.compile_step(lambda gradient, now: make_step(slot, now, gradient, *targets))
        return slot._replace(compiled=compiled)

    def _new_state(self, variable: Any, name: str) -> Any:
        path = f"{variable.path.replace('/', '_')}_{name}"
        if name == "sums":
            return self.add_variable((2,), dtype=WIDE, initializer="zeros", name=path)
        if name == "squares" and variable.dtype in ("float16", "bfloat16"):
            # Squares of gradients are often too small for half precision, and so is Adam's epsilon.
            return self.add_variable(variable.shape, dtype="float32", name=path)
        return self.add_variable_from_reference(variable, name)

    def gathering(self, variable: Any) -> Gathering | None:
        """Return what is gathered for the next update of a variable; None if every step is an update.

        Raises:
            ValueError: the optimizer was not built with this variable.
        """
        return self._slot(variable).gathering

    def velocity(self, variable: Any) -> Any:
        """Return the `keras.Variable` that holds V of a variable; with Adam the mean of its gradients.

        Raises:
            ValueError: the optimizer was not built with this variable.
        """
        return self._slot(variable).state[0]

    def _slot(self, variable: Any) -> Slot:
        try:
            return self._slots[self._var_key(variable)]
        except KeyError:
            path = getattr(variable, "path", variable)
            raise ValueError(
                f"{self.name} was not built with variable {path}; other variables need a new optimizer"
            ) from None

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Make one step.

        Args:
            grads: gradients of the mean cost, one for each variable. As in Keras a variable whose gradient
                is None is left alone, with a warning.
            trainable_variables: the variables; None: those of `build`, in that order.

        Raises:
            ValueError: as `build`; or a variable is unknown, or the numbers of gradients and
                variables differ, or no variable has a gradient.
        """
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        elif not self.built:
            self.build(list(trainable_variables))
        for _, variable in zip(grads, trainable_variables, strict=True):
            self._slot(variable)
        given = self._counted(grads, trainable_variables) if self.global_clipnorm else list(grads)
        super().apply(given, list(trainable_variables))

    def _counted(self, gradients: Sequence[Any], variables: Sequence[Any]) -> list[Any]:
        """Return gradients, those of frozen groups zero: they must not count in a norm over all groups."""
        active = ops.unstack(is_active(self._settings().learning_rate), len(self._groups))
        return [
            None
            if gradient is None
            else ops.where(active[self._slot(variable).number], ops.convert_to_tensor(gradient), 0)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        """Make the step of all variables, under a strategy of tf.distribute with the sums of its replicas."""
        slots = [self._slot(variable) for variable in trainable_variables]

        def update(gradients: Sequence[Any]) -> None:
            by_dtype = self._by_dtype(trainable_variables)
            for variable, slot, gradient in zip(trainable_variables, slots, gradients, strict=True):
                update_variable(variable, slot, by_dtype[variable.dtype][slot.number], gradient)

        if IN_TENSORFLOW:
            fused.sum_over_replicas(update, list(grads))
        else:
            update(grads)

    @property
    def active(self) -> tuple[bool, ...]:
        """Which groups are not frozen now, in their order; also readable while a graph is traced.

        A loop of your own that computes gradients of `active_variables` only has to be traced anew when
        a rate crosses zero; hand this to its `tf.function` as an argument, used or not, and it is.
        """
        return _outside_of_graph(self._active_now)

    def _active_now(self) -> tuple[bool, ...]:
        factor = float(ops.convert_to_numpy(self.learning_rate))
        rates = ops.convert_to_numpy(self.numbers["learning_rate"])
        return tuple(
            factor > 0 and (handle._group.scheduled or bool(rate > 0))
            for handle, rate in zip(self._groups.values(), rates, strict=True)
        )

    @property
    def active_variables(self) -> list[Any]:
        """The variables of the groups that are not frozen now: those that need a gradient."""
        handles = zip(self._groups.values(), self.active, strict=True)
        return [variable for handle, active in handles if active for variable in handle.variables]

    def scheduled_rate(self, group: Group) -> Any:
        """Return the rate of a group with a schedule at this step, without the factor over all groups."""
        schedule, step = group.learning_rate, ops.convert_to_tensor(self._iterations)
        assert callable(schedule)
        if isinstance(schedule, ProgressSchedule):
            return schedule(ops.minimum(ops.cast(step, WIDE) / self.total_steps, 1.0))
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            return schedule(step)
        try:
            return schedule(ops.cast(step, WIDE))
        except Exception as error:
            raise TypeError(
                f"{group}: learning_rate is a function that cannot compute with a tensor, the number of "
                "steps made; write it with keras.ops"
            ) from error

    def _settings(self) -> Settings:
        """Return e, m, d and e0 of all groups, vectors of double precision."""
        rates = ops.convert_to_tensor(self.numbers["learning_rate"])
        groups = [handle._group for handle in self._groups.values()]
        if any(group.scheduled for group in groups):
            numbers = ops.unstack(rates, len(groups))
            rates = ops.stack(
                [
                    ops.cast(self.scheduled_rate(group), WIDE) if group.scheduled else number
                    for group, number in zip(groups, numbers, strict=True)
                ]
            )
        factor = ops.cast(self.learning_rate, WIDE)
        return Settings(
            learning_rate=ops.multiply(rates, factor),
            momentum=ops.convert_to_tensor(self.numbers["momentum"]),
            weight_decay=ops.convert_to_tensor(self.numbers["weight_decay"]),
            base_learning_rate=ops.convert_to_tensor(self.numbers["base_learning_rate"]),
        )

    def _by_dtype(self, variables: Iterable[Any]) -> dict[str, list[Numbers]]:
        """Return the numbers of each group for this step, as scalars of the types of the variables."""
        groups = [handle._group for handle in self._groups.values()]
        dtypes = sorted({variable.dtype for variable in variables})
        settings = self._settings()
        return {dtype: numbers_of(settings, groups, dtype) for dtype in dtypes}

    def penalty(self) -> Any:
        """Return the sum of d/2 |W|^2 over the active groups with decay `l2`, a scalar tensor.

        It is in units of the mean cost, so that cost + penalty is what these groups descend.
        """
        counted = [
            (index, variable)
            for index, handle in enumerate(self._groups.values())
            if DECAYS[handle.decay].in_cost
            for variable in handle.variables
        ]
        now = self._by_dtype(variable for _, variable in counted)
        terms = [_half_square(now[variable.dtype][index], variable) for index, variable in counted]
        return reduce(ops.add, terms, ops.zeros((), keras.config.floatx()))

    def table(self) -> Table:
        """Return what every variable gets now, one line each: print it, or let a notebook show it."""
        return variable_table(self._groups.values(), float(ops.convert_to_numpy(self.learning_rate)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the optimizer, with the numbers of this moment.

        Raises:
            ValueError: a group cannot be written; see `saving.to_config`.
        """
        config = super().get_config()
        del config["weight_decay"]
        trained = self._trainable_variables
        groups = [to_config(handle.as_group(), handle.variables, trained) for handle in self._groups.values()]
        return {**config, "groups": groups, "total_steps": self.total_steps}

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Set what was saved; of an optimizer saved before its first step these are the numbers alone."""
        if self.built and len(store.keys()) == self._made_at_first:
            for index, variable in enumerate(self.variables[: self._made_at_first]):
                variable.assign(store[str(index)])
        else:
            super().load_own_variables(store)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> GroupedOptimizer:
        """Return the optimizer of these arguments; its groups find their variables when it is built."""
        # A scope without objects would hide those that the caller gave to Keras.
        scope = keras.saving.custom_object_scope(dict(custom_objects)) if custom_objects else nullcontext()
        with scope:
            rate = config["learning_rate"]
            if isinstance(rate, Mapping):
                rate = keras.saving.deserialize_keras_object(rate)
            groups = [from_config(group) for group in config["groups"]]
        return cls(**{**config, "groups": groups, "learning_rate": rate})


def _half_square(now: Numbers, variable: Any) -> Any:
    return ops.where(now.active, now.weight_decay / 2, 0) * ops.sum(ops.square(variable))


def _checked_factor(factor: Any) -> Any:
    what = "learning_rate, the factor over all groups,"
    if isinstance(factor, ProgressSchedule):
        raise TypeError(f"{what} may be a schedule of Keras, not one of the progress")
    if callable(factor):
        return factor
    if isinstance(factor, bool) or not isinstance(factor, Real):
        raise TypeError(f"{what} must be a number, got {factor!r}")
    if not (math.isfinite(factor) and float(factor) >= 0):
        raise ValueError(f"{what} must be finite and >= 0, got {factor!r}")
    return float(factor)


def _checked_total(total_steps: int | None, groups: Mapping[str, Group]) -> int | None:
    if total_steps is not None:
        if isinstance(total_steps, bool) or not isinstance(total_steps, Integral) or total_steps < 1:
            raise ValueError(f"total_steps must be an integer >= 1, got {total_steps!r}")
        return int(total_steps)
    following = [name for name, group in groups.items() if isinstance(group.learning_rate, ProgressSchedule)]
    if following:
        raise ValueError(
            f"total_steps is needed: the rate of group {following[0]!r} follows the progress of the training"
        )
    return None
