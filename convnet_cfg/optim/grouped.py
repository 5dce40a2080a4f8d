"""The Keras optimizer over parameter groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import keras
from keras import ops

from convnet_cfg.optim.groups import NUMBERS, Group, check_cover, named
from convnet_cfg.optim.rules import DECAYS, Decay, Settings, momentum_step

__all__ = ["GroupHandle", "GroupedOptimizer"]

T = TypeVar("T")

IN_TENSORFLOW = keras.backend.backend() == "tensorflow"
if IN_TENSORFLOW:
    from convnet_cfg.optim import fused


def _outside_of_graph(read: Callable[[], T]) -> T:
    return fused.outside_of_graph(read) if IN_TENSORFLOW else read()


CROSSED = (
    "a group was frozen, or a frozen one set to train, since this training step was traced: "
    "trace the step anew (see GroupedOptimizer.active)"
)


class Gathering(NamedTuple):
    """What is gathered of the gradients of several steps, and of how many; see `Group.period`."""

    total: Any
    count: Any
    period: int
    moves: bool


class Slot(NamedTuple):
    """What the optimizer keeps for one variable."""

    velocity: Any
    group: int
    decay: Decay
    gathering: Gathering | None
    velocity_mask: Any


class Step(NamedTuple):
    """What one step of one variable needs; gradient None: G = 0."""

    variable: Any
    gradient: Any
    slot: Slot


def _number_property(field: str) -> property:
    def read(handle: GroupHandle) -> float:
        return float(handle._numbers[field].numpy()[handle._index])

    def write(handle: GroupHandle, value: float) -> None:
        change: dict[str, Any] = {field: value}
        checked = replace(handle.as_group(), **change)
        values = handle._numbers[field].numpy().copy()
        values[handle._index] = getattr(checked, field)
        handle._numbers[field].assign(values)

    return property(read, write, doc=f"`Group.{field}` as it is now; checked when set, no retracing.")


class GroupHandle:
    """One group of an optimizer while it trains: its four numbers can be read and set.

    They live in variables, so a `tf.function` that was traced before sees the new number.
    """

    learning_rate = _number_property("learning_rate")
    momentum = _number_property("momentum")
    weight_decay = _number_property("weight_decay")
    base_learning_rate = _number_property("base_learning_rate")

    def __init__(self, group: Group, index: int, numbers: Mapping[str, Any]) -> None:
        """Take the group as it was given, its number, and the optimizer's variables by field."""
        self._group, self._index, self._numbers = group, index, numbers

    def __repr__(self) -> str:
        """Show the name, the numbers as they are now, and the decay."""
        numbers = ", ".join(f"{field}={getattr(self, field):g}" for field in NUMBERS)
        return f"GroupHandle({self.name!r}, {numbers}, decay={self.decay!r})"

    @property
    def name(self) -> str:
        """The name under which `GroupedOptimizer.groups` knows it."""
        return str(self._group.name)

    @property
    def decay(self) -> str:
        """The name of its rule in `DECAYS`; fixed."""
        return self._group.decay

    @property
    def variables(self) -> tuple[Any, ...]:
        """Its variables; fixed."""
        return tuple(self._group.variables)

    def as_group(self) -> Group:
        """Return a Group with the numbers of this moment."""
        now: dict[str, Any] = {field: getattr(self, field) for field in NUMBERS}
        return replace(self._group, **now)


class GroupedOptimizer(keras.optimizers.Optimizer):
    """Momentum in which each group of variables has its own rate, momentum and weight decay.

    One step of a variable, e.g. with decay `cuda-convnet` (`DECAYS` has the other formulas):

        V = m V - e (G + d W);  W = W + V

    `learning_rate` is one factor over all groups, 1.0 at first: e = learning_rate * the group's.

    A group is frozen while its e is zero or below. Its variables need no gradient then, and one
    that is given is ignored. For others a gradient of None means G = 0: decay and momentum go on.
    Variables that are not handed to `apply` are left alone, as in Keras.

    Rates may cross zero between steps. In TensorFlow a traced step holds the kernels of just the
    groups that were active, so it has to be traced anew then: hand it `active`, and that happens by
    itself. Else it stops with `tf.errors.InvalidArgumentError` before it changes anything.
    Steps run eagerly, compiled by XLA, or by other backends follow a rate across zero themselves.
    """

    def __init__(self, groups: Iterable[Group], name: str = "grouped_optimizer") -> None:
        """Make the variables that hold the groups' numbers; velocities come with `build`.

        Args:
            groups: at least one.
            name: of the optimizer.

        Raises:
            ValueError: there is no group, or two have the same name.
        """
        super().__init__(learning_rate=1.0, name=name)
        by_name = named(groups)
        if not by_name:
            raise ValueError("an optimizer needs at least one group")
        numbers = {field: self._add_numbers(field, by_name.values()) for field in NUMBERS}
        self._numbers = MappingProxyType(numbers)
        self._groups = MappingProxyType(
            {
                name: GroupHandle(replace(group, name=name), index, self._numbers)
                for index, (name, group) in enumerate(by_name.items())
            }
        )
        self._slots: Mapping[int, Slot] = MappingProxyType({})

    def _add_numbers(self, field: str, groups: Iterable[Group]) -> Any:
        # In double precision: a float32 network gets each number rounded once, a float64 one exact.
        values = [getattr(group, field) for group in groups]
        variable = self.add_variable((len(values),), dtype="float64", name=f"group_{field}")
        variable.assign(values)
        return variable

    @property
    def groups(self) -> Mapping[str, GroupHandle]:
        """The groups by name, to read and set their numbers while training."""
        return self._groups

    def build(self, variables: Sequence[Any]) -> None:
        """Make a velocity of zeros for each variable of each group.

        Raises:
            ValueError: a variable is in no group or in several; the message lists all of them.
        """
        if self.built:
            return
        groups = _outside_of_graph(lambda: {name: handle.as_group() for name, handle in self._groups.items()})
        check_cover(groups, variables)
        super().build(list(variables))
        self._slots = MappingProxyType(
            {
                id(variable): self._new_slot(variable, index, groups[handle.name])
                for index, handle in enumerate(self._groups.values())
                for variable in handle.variables
            }
        )

    def _new_slot(self, variable: Any, index: int, group: Group) -> Slot:
        velocity = self.add_variable_from_reference(variable, "velocity")
        gathering = None
        if group.period > 1:
            total = self.add_variable_from_reference(variable, "gathered")
            count = self.add_variable((), dtype="int64", initializer="zeros", name="gathered_steps")
            gathering = Gathering(total, count, group.period, group.gathers_moves)
        return Slot(velocity, index, DECAYS[group.decay], gathering, group.velocity_mask)

    def gathering(self, variable: Any) -> Gathering | None:
        """Return what is gathered for the next update of a variable; None if every step is an update.

        Raises:
            ValueError: the optimizer was not built with this variable.
        """
        return self._slot(variable).gathering

    def velocity(self, variable: Any) -> Any:
        """Return the `keras.Variable` that holds V of a variable: the sum of its steps, with momentum.

        Raises:
            ValueError: the optimizer was not built with this variable.
        """
        return self._slot(variable).velocity

    def _slot(self, variable: Any) -> Slot:
        try:
            return self._slots[id(variable)]
        except KeyError:
            path = getattr(variable, "path", variable)
            raise ValueError(f"{self.name} was not built with variable {path}") from None

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Make one step.

        Args:
            grads: gradients of the mean cost, one for each variable; None: see the class.
            trainable_variables: the variables; None: those of `build`, in that order.

        Raises:
            ValueError: as `build`; or a variable is unknown, or the numbers of gradients and
                variables differ.
            NotImplementedError: inside of the `run` of a `tf.distribute` strategy: gradients are to be
                reduced first, and this called in the scope of the strategy.
        """
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        elif not self.built:
            self.build(trainable_variables)
        with keras.name_scope(self.name):
            steps = [
                Step(variable, gradient, self._slot(variable))
                for variable, gradient in zip(trainable_variables, grads, strict=True)
            ]
            if IN_TENSORFLOW and not fused.compiled_by_xla():
                fused.refuse_replica_context()
                self._apply_in_place(steps)
            else:
                self._apply_where_active(steps)
            self.iterations.assign_add(1)

    @property
    def active(self) -> tuple[bool, ...]:
        """Which groups are not frozen now, in their order; also readable while a graph is traced.

        Hand it to a `tf.function` as an argument, used or not, and the step is traced anew when a
        rate crosses zero:

            step(images, labels, optimizer.active)
        """
        return _outside_of_graph(self._active_now)

    def _active_now(self) -> tuple[bool, ...]:
        rates = self._numbers["learning_rate"].numpy() * float(self.learning_rate.numpy())
        return tuple((rates > 0).tolist())

    @property
    def active_variables(self) -> list[Any]:
        """The variables of the groups that are not frozen now: those that need a gradient."""
        handles = zip(self._groups.values(), self.active, strict=True)
        return [variable for handle, active in handles if active for variable in handle.variables]

    def _rates(self) -> Any:
        return ops.multiply(self._numbers["learning_rate"], ops.cast(self.learning_rate, "float64"))

    def _settings(self, dtype: str) -> list[Settings]:
        """Return the settings of each group, as scalars of that type."""
        vectors = Settings(
            learning_rate=self._rates(),
            momentum=self._numbers["momentum"],
            weight_decay=ops.maximum(self._numbers["weight_decay"], 0.0),
            base_learning_rate=self._numbers["base_learning_rate"],
        )
        columns = [ops.unstack(ops.cast(vector, dtype), len(self._groups)) for vector in vectors]
        return [Settings(*numbers) for numbers in zip(*columns, strict=True)]

    def _each(self, steps: list[Step], update: Callable[[Step, Settings], None]) -> None:
        dtypes = sorted({step.variable.dtype for step in steps})
        settings = {dtype: self._settings(dtype) for dtype in dtypes}
        for step in steps:
            update(step, settings[step.variable.dtype][step.slot.group])

    def _apply_where_active(self, steps: list[Step]) -> None:
        """Make the step on any backend; each group's rate is looked at when the graph runs."""
        self._each(steps, _step_where_active)

    def _apply_in_place(self, steps: list[Step]) -> None:
        """Make the step with TensorFlow's kernel for the groups that are active at tracing."""
        active = self.active
        with fused.stop_unless(lambda: ops.all(ops.equal(self._rates() > 0, active)), CROSSED):
            self._each([step for step in steps if active[step.slot.group]], _step_in_place)

    def penalty(self) -> Any:
        """Return the sum of d/2 |W|^2 over the active groups with decay `l2`, a scalar tensor.

        It is in units of the mean cost, so that cost + penalty is what these groups descend.
        """
        terms = [ops.zeros((), keras.config.floatx())]
        for index, handle in enumerate(self._groups.values()):
            if DECAYS[handle.decay].in_cost:
                terms += [self._penalty(index, variable) for variable in handle.variables]
        return reduce(ops.add, terms)

    def _penalty(self, index: int, variable: Any) -> Any:
        now = self._settings(variable.dtype)[index]
        half = ops.where(now.learning_rate > 0, now.weight_decay / 2, 0)
        return half * ops.sum(ops.square(variable))


def _step_in_place(step: Step, now: Settings) -> None:
    variable, gradient, slot = step
    gradient = fused.dense(ops.zeros_like(variable) if gradient is None else gradient, variable.dtype)
    gathering = slot.gathering
    if gathering is None:
        _update_in_place(step._replace(gradient=gradient), now)
        return
    mean = _gathered(gathering, gradient, now)

    def update() -> None:
        _update_in_place(step._replace(gradient=mean()), now)
        _begin_anew(gathering)

    fused.only_if(_is_due(gathering), update)


def _update_in_place(step: Step, now: Settings) -> None:
    variable, gradient, slot = step

    def update(weight: Any, velocity: Any, gradient: Any) -> None:
        fused.momentum_step_in_place(weight, velocity, gradient, now, slot.decay)
        if variable.constraint is not None:
            weight.assign(variable.constraint(weight))

    if slot.velocity_mask is not None:
        slot.velocity.assign(slot.velocity * slot.velocity_mask)
    fused.on_each_device(update, variable.value, slot.velocity.value, gradient)


def _step_where_active(step: Step, now: Settings) -> None:
    variable, gradient, slot = step
    before = ops.convert_to_tensor(variable), ops.convert_to_tensor(slot.velocity)
    gradient = ops.zeros_like(variable) if gradient is None else ops.cast(gradient, variable.dtype)
    active = now.learning_rate > 0
    due = active
    if slot.gathering is not None:
        mean = _gathered(slot.gathering, ops.where(active, gradient, 0), now, active)
        gradient, due = mean(), ops.logical_and(active, _is_due(slot.gathering))
        _begin_anew(slot.gathering, due)
    velocity = before[1] if slot.velocity_mask is None else before[1] * slot.velocity_mask
    weight, velocity = momentum_step(before[0], velocity, gradient, now, slot.decay)
    if variable.constraint is not None:
        weight = variable.constraint(weight)
    variable.assign(ops.where(due, weight, before[0]))
    slot.velocity.assign(ops.where(due, velocity, before[1]))


def _gathered(gathering: Gathering, gradient: Any, now: Settings, active: Any = True) -> Callable[[], Any]:
    """Add a gradient to those of the steps before, and return what returns their mean."""
    weight = now.learning_rate if gathering.moves else 1.0
    gathering.total.assign(gathering.total + weight * gradient)
    gathering.count.assign(gathering.count + ops.cast(active, "int64"))
    return lambda: ops.convert_to_tensor(gathering.total) / (gathering.period * weight)


def _is_due(gathering: Gathering) -> Any:
    return ops.greater_equal(gathering.count, gathering.period)


def _begin_anew(gathering: Gathering, due: Any = True) -> None:
    gathering.total.assign(ops.where(due, ops.zeros_like(gathering.total), gathering.total))
    gathering.count.assign(ops.where(due, ops.zeros_like(gathering.count), gathering.count))
