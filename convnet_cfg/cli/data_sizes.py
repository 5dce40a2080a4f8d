"""The sizes of the data that a network is read for: as given, of a recipe, or guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import click

from convnet_cfg.cli.output import say
from convnet_cfg.language import Pair, guess_dims
from convnet_cfg.zoo.recipes import Recipe


def read_sizes(context: click.Context, option: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Return what --data-dims says."""
    if text is None:
        return None
    items = [item.strip() for item in text.split(",")]
    if not all(re.fullmatch("0*[1-9][0-9]{,17}", item) for item in items):
        raise click.BadParameter(f"expected sizes like 3072,1, got {text!r}")
    return tuple(map(int, items))


class Sizes(NamedTuple):
    """Values for each case of every data matrix."""

    dims: Sequence[int]
    guessed: bool = False


def data_sizes(
    dims: Sequence[int] | None, recipe: Recipe | None, pair: Pair, classes: int | None = None
) -> Sizes:
    """Return the sizes that are given, else those of the recipe, else a guess, saying what was taken."""
    return _given(dims) or _from_recipe(recipe) or _guessed(pair, classes)


def _given(dims: Sequence[int] | None) -> Sizes | None:
    return Sizes(dims) if dims else None


def _from_recipe(recipe: Recipe | None) -> Sizes | None:
    """Return the sizes that a shipped network is trained with, saying so; None if its recipe has none."""
    if recipe is None or recipe.data.values is None:
        return None
    dims = recipe.data.values, 1
    say(f"sizes of the data: {dims[0]},{dims[1]} (recipe {recipe.name}: provider {recipe.data.provider})")
    return Sizes(dims)


def _guessed(pair: Pair, classes: int | None) -> Sizes:
    guess = guess_dims(pair, classes)
    say(str(guess))
    return Sizes(guess.dims, guessed=True)
