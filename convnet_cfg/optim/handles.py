"""The groups of an optimizer while it trains: their numbers can be read and set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from keras import ops

from convnet_cfg.errors import did_you_mean
from convnet_cfg.optim.groups import NUMBERS, Group

if TYPE_CHECKING:
    from convnet_cfg.optim.grouped import GroupedOptimizer

__all__ = ["GroupHandle", "Groups"]


def _number_property(field: str) -> property:
    def read(handle: GroupHandle) -> float:
        return handle._read(field)

    def write(handle: GroupHandle, value: float) -> None:
        handle._write(field, value)

    return property(read, write, doc=f"`Group.{field}` as it is now; checked when set, no retracing.")


class GroupHandle:
    """One group of an optimizer while it trains: its four numbers can be read and set.

    They live in variables, so a step that was compiled before sees the new number. A rate that follows
    a schedule can be read, but not set.
    """

    learning_rate = _number_property("learning_rate")
    momentum = _number_property("momentum")
    weight_decay = _number_property("weight_decay")
    base_learning_rate = _number_property("base_learning_rate")

    def __init__(self, group: Group, index: int, optimizer: GroupedOptimizer) -> None:
        """Take the group as it was given, its number, and the optimizer that it belongs to."""
        self._group, self._index, self._optimizer = group, index, optimizer
        self._variables: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        """Show the name, the numbers as they are now, the decay and the rule."""
        numbers = ", ".join(f"{field}={getattr(self, field):g}" for field in NUMBERS)
        return f"GroupHandle({self.name!r}, {numbers}, decay={self.decay!r}, rule={self.rule!r})"

    def _read(self, field: str) -> float:
        if field == "learning_rate" and self._group.scheduled:
            return float(ops.convert_to_numpy(self._optimizer.scheduled_rate(self._group)))
        return float(self._vector(field)[self._index])

    def _write(self, field: str, value: float) -> None:
        if field == "learning_rate" and self._group.scheduled:
            raise TypeError(
                f"{self._group}: learning_rate follows a schedule and cannot be set; "
                "optimizer.learning_rate is a factor over all groups"
            )
        change: dict[str, Any] = {field: value}
        checked = replace(self.as_group(), **change)
        values = self._vector(field).copy()
        values[self._index] = getattr(checked, field)
        self._optimizer.numbers[field].assign(values)

    def _vector(self, field: str) -> Any:
        return ops.convert_to_numpy(self._optimizer.numbers[field])

    @property
    def name(self) -> str:
        """The name under which `GroupedOptimizer.groups` knows it."""
        return str(self._group.name)

    @property
    def decay(self) -> str:
        """The name of its weight decay in `DECAYS`; fixed."""
        return self._group.decay

    @property
    def rule(self) -> str:
        """The name of its update rule in `RULES`; fixed."""
        return self._group.rule

    @property
    def variables(self) -> tuple[Any, ...]:
        """Its variables; none before the optimizer is built, fixed from then on."""
        return self._variables

    def as_group(self) -> Group:
        """Return a Group with the numbers of this moment."""
        fields = [field for field in NUMBERS if not (field == "learning_rate" and self._group.scheduled)]
        now: dict[str, Any] = {field: self._read(field) for field in fields}
        return replace(self._group, **now)


class Groups(Mapping[str, GroupHandle]):
    """The groups of an optimizer by name, in their order."""

    def __init__(self, handles: Mapping[str, GroupHandle]) -> None:
        """Take the handles by name."""
        self._handles = MappingProxyType(dict(handles))

    def __getitem__(self, name: str) -> GroupHandle:
        """Return a group by its name.

        Raises:
            KeyError: there is none; the message says in which group a variable of that path is.
        """
        try:
            return self._handles[name]
        except KeyError:
            raise KeyError(self._explain(name)) from None

    def _explain(self, name: str) -> str:
        for handle in self.values():
            if any(variable.path == name for variable in handle.variables):
                return f"no group {name!r}: the variable of that path is in group {handle.name!r}"
        return f"no group {name!r}{did_you_mean(str(name), self)}"

    def __repr__(self) -> str:
        """Show the groups, one line each."""
        return "\n".join(map(repr, self.values()))

    def __iter__(self) -> Iterator[str]:
        """Return the names in the order of the groups."""
        return iter(self._handles)

    def __len__(self) -> int:
        """Return how many groups there are."""
        return len(self._handles)
