"""Which variables a group takes, and that groups cover a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from convnet_cfg.errors import join_words

if TYPE_CHECKING:
    from convnet_cfg.optim.groups import Group

__all__ = ["Located", "Saved", "is_variable", "matches", "selectors", "share_out", "title"]


class Located(NamedTuple):
    """A variable of a saved optimizer, its place among those to train (None: not built, or not trained)."""

    path: str
    shape: tuple[int, ...]
    place: int | None


class Saved(NamedTuple):
    """What a group of a saved optimizer takes: its variables then, and its patterns if it had only these."""

    located: tuple[Located, ...]
    patterns: tuple[str, ...]


def selectors(given: Any, group: str) -> tuple[Any, ...]:
    """Return the patterns, layers and variables that a group takes, or the one `Saved`.

    Raises:
        TypeError: something is none of these.
        ValueError: there are none.
    """
    alone = isinstance(given, str | Saved) or is_variable(given) or _is_layer(given)
    if not alone and not isinstance(given, Iterable):
        raise TypeError(f"{group}: {_wanted(given)}")
    found = (given,) if alone else tuple(given)
    if not found:
        raise ValueError(f"{group} has no variables")
    for item in found:
        if not (isinstance(item, str | Saved) or is_variable(item) or _is_layer(item)):
            raise TypeError(f"{group}: {_wanted(item)}")
    return found


def _wanted(item: object) -> str:
    return f"variables must be keras.Variables, layers or patterns over paths, got {item!r}"


def is_variable(item: Any) -> bool:
    """Return whether something is a `keras.Variable`."""
    return hasattr(item, "path") and hasattr(item, "assign")


def _is_layer(item: Any) -> bool:
    return hasattr(item, "trainable_variables") and hasattr(item, "build")


def title(selector: Any) -> str:
    """Return a pattern, or the path of a layer or variable."""
    if isinstance(selector, Saved):
        return ", ".join(selector.patterns or [saved.path for saved in selector.located])
    return selector if isinstance(selector, str) else str(getattr(selector, "path", None) or selector.name)


def matches(path: str, pattern: str) -> bool:
    """Return whether a pattern is that of a path, or of an end of it that begins behind a `/`."""
    return any(fnmatchcase(path[start:], pattern) for start in _starts(path))


def _starts(path: str) -> list[int]:
    return [0, *(index + 1 for index, character in enumerate(path) if character == "/")]


def _is_same(path: str, saved: str) -> bool:
    """Keras builds a model that it loads part by part, so that paths may lose their beginning."""
    return path == saved or path.endswith(f"/{saved}") or saved.endswith(f"/{path}")


def _nearest(pattern: str, paths: Iterable[str]) -> str:
    """Return " (nearest: 'x')", the path with the end most like a pattern; "" if there is none."""
    bare = pattern.replace("*", "").strip("/")

    def likeness(path: str) -> float:
        return max(SequenceMatcher(None, bare, path[start:]).ratio() for start in _starts(path))

    nearest = max(paths, key=likeness, default=None)
    return "" if nearest is None else f" (nearest: {nearest!r})"


class _Sharing:
    """Sees to it that each variable to train is in exactly one group, and collects what is wrong."""

    def __init__(self, groups: Mapping[str, Group], trained: Sequence[Any]) -> None:
        self.trained = trained
        self.trained_ids = {id(variable) for variable in trained}
        self.by_id = {id(variable): variable for variable in trained}
        self.owners: dict[int, list[str]] = {}
        self.unmatched: list[str] = []
        self.strangers: dict[int, str] = {}
        saved = [each for group in groups.values() for each in group.variables if isinstance(each, Saved)]
        places = {
            known.place: known.shape for each in saved for known in each.located if known.place is not None
        }
        self.was_built = bool(places)
        # As many variables as the saved optimizer trained, of the same shapes, in the same order.
        self.is_same_model = places == {at: tuple(variable.shape) for at, variable in enumerate(trained)}

    def take(self, name: str, group: Group) -> tuple[Any, ...]:
        """Return the variables of a group; each once, also if it is selected twice."""
        taken: dict[int, Any] = {}
        for selector in group.variables:
            taken |= {id(variable): variable for variable in self._select(selector, name)}
        if not taken and not any(isinstance(selector, str | Saved) for selector in group.variables):
            self._report_empty(group, name)
        for key, variable in taken.items():
            self.by_id.setdefault(key, variable)
            self.owners.setdefault(key, []).append(name)
            if not (group.frozen or key in self.trained_ids or not variable.trainable):
                self.strangers.setdefault(key, f"{variable.path} ({name})")
        return tuple(taken.values())

    def _report_empty(self, group: Group, name: str) -> None:
        """Report layers none of which has variables; those of frozen layers need not be trained."""
        if not any(layer.variables for layer in group.variables):
            layers = join_words([title(layer) for layer in group.variables], "and")
            self.unmatched.append(f"{layers} ({name}), without variables (yet)")

    def _select(self, selector: Any, name: str) -> list[Any]:
        if isinstance(selector, Saved):
            return self._find_saved(selector, name)
        if isinstance(selector, str):
            found = self._match(selector)
            if not found:
                nearest = _nearest(selector, (variable.path for variable in self.trained))
                self.unmatched.append(f"{selector!r} ({name}){nearest}")
            return found
        return [selector] if is_variable(selector) else list(selector.trainable_variables)

    def _match(self, pattern: str) -> list[Any]:
        return [variable for variable in self.trained if matches(variable.path, pattern)]

    def _find_saved(self, saved: Saved, name: str) -> list[Any]:
        """Find variables by their places; if others are trained now, by patterns, or by paths.

        Then a group of an optimizer that was built may find none: its layers may be frozen now.
        """
        if self.is_same_model:
            return [self.trained[known.place] for known in saved.located if known.place is not None]
        found = [variable for pattern in saved.patterns for variable in self._match(pattern)]
        if not saved.patterns:
            found = [
                variable
                for known in saved.located
                for variable in self.trained
                if _is_same(variable.path, known.path) and tuple(variable.shape) == known.shape
            ]
        if not (found or self.was_built):
            self.unmatched.append(f"{title(saved)} ({name})")
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
    sharing = _Sharing(groups, trained)
    shares = {name: sharing.take(name, group) for name, group in groups.items()}
    if lines := sharing.faults():
        raise ValueError("\n".join(["each variable to train must be in exactly one group", *lines]))
    return shares
