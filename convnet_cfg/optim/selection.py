"""Which variables a group takes, and that groups cover a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from convnet_cfg.errors import did_you_mean, join_words

if TYPE_CHECKING:
    from convnet_cfg.optim.groups import Group

__all__ = ["Located", "matches", "selectors", "share_out", "title"]


class Located(NamedTuple):
    """A variable of a saved model: its path, and its place among the variables to train, None if in none."""

    path: str
    place: int | None


def selectors(given: Any, group: str) -> tuple[Any, ...]:
    """Return the patterns, layers, variables and `Located`s that a group takes.

    Raises:
        TypeError: something is none of these.
        ValueError: there are none.
    """
    alone = isinstance(given, str | Located) or _is_variable(given) or _is_layer(given)
    if not alone and not isinstance(given, Iterable):
        raise TypeError(f"{group}: {_wanted(given)}")
    found = (given,) if alone else tuple(given)
    if not found:
        raise ValueError(f"{group} has no variables")
    for item in found:
        if not (isinstance(item, str | Located) or _is_variable(item) or _is_layer(item)):
            raise TypeError(f"{group}: {_wanted(item)}")
    return found


def _wanted(item: object) -> str:
    return f"variables must be keras.Variables, layers or patterns over paths, got {item!r}"


def _is_variable(item: Any) -> bool:
    return hasattr(item, "path") and hasattr(item, "assign")


def _is_layer(item: Any) -> bool:
    return hasattr(item, "trainable_variables") and hasattr(item, "build")


def title(selector: Any) -> str:
    """Return a pattern, or the path of a layer or variable."""
    return selector if isinstance(selector, str) else str(getattr(selector, "path", None) or selector.name)


def matches(path: str, pattern: str) -> bool:
    """Return whether a pattern is that of a path, or of an end of it that begins behind a `/`."""
    return any(fnmatchcase(path[start:], pattern) for start in _starts(path))


def _starts(path: str) -> list[int]:
    return [0, *(index + 1 for index, character in enumerate(path) if character == "/")]


def _is_same(path: str, saved: str) -> bool:
    """Keras builds a model that it loads part by part, so that paths may lose their beginning."""
    return path == saved or path.endswith(f"/{saved}") or saved.endswith(f"/{path}")


class _Sharing:
    """Sees to it that each variable to train is in exactly one group, and collects what is wrong."""

    def __init__(self, trained: Sequence[Any]) -> None:
        self.trained = trained
        self.trained_ids = {id(variable) for variable in trained}
        self.by_id = {id(variable): variable for variable in trained}
        self.owners: dict[int, list[str]] = {}
        self.unmatched: list[str] = []
        self.strangers: dict[int, str] = {}

    def take(self, name: str, group: Group) -> tuple[Any, ...]:
        """Return the variables of a group; each once, also if it is selected twice."""
        taken: dict[int, Any] = {}
        for selector in group.variables:
            found = self._select(selector, name)
            taken |= {id(variable): variable for variable in found}
        for key, variable in taken.items():
            self.by_id.setdefault(key, variable)
            self.owners.setdefault(key, []).append(name)
            if not (group.frozen or key in self.trained_ids or not variable.trainable):
                self.strangers.setdefault(key, f"{variable.path} ({name})")
        return tuple(taken.values())

    def _select(self, selector: Any, name: str) -> list[Any]:
        if isinstance(selector, Located):
            return self._find(selector, name)
        if isinstance(selector, str):
            found = [variable for variable in self.trained if matches(variable.path, selector)]
            if not found:
                ends = [
                    variable.path[start:] for variable in self.trained for start in _starts(variable.path)
                ]
                self.unmatched.append(f"{selector!r} ({name}){did_you_mean(selector, ends)}")
            return found
        if _is_variable(selector):
            return [selector]
        found = list(selector.trainable_variables)
        if not found and not selector.variables:
            self.unmatched.append(f"layer {selector.name} ({name}), which has no variables (yet)")
        return found

    def _find(self, saved: Located, name: str) -> list[Any]:
        if saved.place is None:
            return []
        found = [variable for variable in self.trained if _is_same(variable.path, saved.path)]
        if saved.place < len(self.trained) and any(
            variable is self.trained[saved.place] for variable in found
        ):
            return [self.trained[saved.place]]
        if len(found) != 1:
            self.unmatched.append(f"variable {saved.path} ({name})")
            return []
        return found

    def faults(self) -> list[str]:
        """Return a line for each kind of fault."""
        left_over = [variable.path for variable in self.trained if id(variable) not in self.owners]
        twice = [
            f"{self.by_id[key].path} ({join_words(names, 'and')})"
            for key, names in self.owners.items()
            if len(names) > 1
        ]
        kinds = {
            "in no group": left_over,
            "claimed twice": twice,
            "found by nothing": self.unmatched,
            "in a group that is not frozen, but not among the variables to train": list(
                self.strangers.values()
            ),
        }
        return [f"  {what}: {', '.join(paths)}" for what, paths in kinds.items() if paths]


def share_out(groups: Mapping[str, Group], trained: Sequence[Any]) -> dict[str, tuple[Any, ...]]:
    """Return the variables of each group; every variable to train is in exactly one.

    A frozen group may hold variables that are not handed over, and so may any group if they are not
    trainable.

    Raises:
        ValueError: one error that lists the variables in no group and in several, and what a group
            names that is not there.
    """
    sharing = _Sharing(trained)
    shares = {name: sharing.take(name, group) for name, group in groups.items()}
    if lines := sharing.faults():
        raise ValueError("\n".join(["each variable to train must be in exactly one group", *lines]))
    return shares
