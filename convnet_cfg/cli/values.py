"""From the values of a command line, and of recipes and runs that they change, to the options of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convnet_cfg.cli.arguments import PROVIDER_OPTIONS, Pair, absolute
from convnet_cfg.cli.output import say
from convnet_cfg.errors import UsageError

if TYPE_CHECKING:
    from convnet_cfg.training.options import Options


def given_values(ctx: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are on the command line."""
    return {
        name: value
        for name, value in values.items()
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE and value is not None
    }


def recipe_values(pair: Pair, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the recipe of a network that came along asks for.

    With another data provider `given`, those of the recipe's own do not count.
    """
    recipe = pair.recipe
    if recipe is None:
        return {}
    first = recipe.stages[0]
    provider = given.get("data_provider", recipe.data.provider) or provider_of_data(given.get("data_path"))
    found = {
        "data_provider": recipe.data.provider,
        "train_range": tuple(first.train_range or recipe.data.train_range),
        "test_range": tuple(recipe.final_test.test_range),
        "epochs": first.epochs,
        "minibatch": recipe.minibatch,
        "seed": recipe.first_seed,
        "test_freq": recipe.test_frequency,
        "decay": recipe.arms[0].decay if recipe.arms else None,
        **(recipe.provider_options(first) if provider == recipe.data.provider else {}),
    }
    return {name: value for name, value in found.items() if value is not None}


def with_recipe(pair: Pair, usual: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that count: those given, else those of the pair's recipe, else the usual ones."""
    asked, recipe = recipe_values(pair, given), pair.recipe
    own: tuple[str, ...] = given.get("own_options", ())
    if recipe is not None and given.get("data_provider", recipe.data.provider) == recipe.data.provider:
        own = (*recipe.own_options(given.get("seed", recipe.first_seed)), *own)
    return {**usual, **asked, **given, "own_options": own}


def make_options(values: Mapping[str, Any]) -> Any:
    """Return the options of a run from the values of the command line.

    Raises:
        UsageError: something does not fit the data provider.
    """
    from convnet_cfg.training.options import Options

    provider = values["data_provider"] or provider_of_data(values.get("data_path"))
    names = {option.name for option in fields(Options)}
    plain = {name: value for name, value in values.items() if name in names and value is not None}
    return Options(
        **{
            **plain,
            "data_provider": provider,
            "data_path": used_path(provider, values.get("data_path")),
            "provider_options": provider_options(provider, values),
        }
    )


def provider_of_data(path: str | None) -> str:
    """Return the data provider that the data ask for themselves, as the original did for an empty name."""
    from convnet_cfg.data import stored_provider

    if not path:
        raise UsageError("--data-path is missing: an empty --data-provider is that of the data")
    return stored_provider(path)


def used_path(provider: str, path: str | None) -> str | None:
    """Return a data path as a run records it, None where the data provider has no use for one.

    Raises:
        UsageError: there is none, and the provider needs one.
    """
    from convnet_cfg.data import needs_path, takes_path

    if not path and needs_path(provider):
        raise UsageError(f"--data-path is missing: data provider {provider!r} reads its batches there")
    if path and not takes_path(provider):
        say(f"note: no effect: the data path (data provider {provider!r} needs none)")
        return None
    return absolute(path)


def provider_options(provider: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a data provider that the command line sets."""
    from convnet_cfg.data import options_of, read_options, views_of

    known = options_of(provider)
    found = read_options(provider, values.get("own_options") or ())
    found |= {name: values[name] for name in PROVIDER_OPTIONS if values.get(name) is not None}
    if "crop_border" in found and "crop_border" not in known:
        say(f"note: no effect: --crop-border (data provider {provider!r} does not crop)")
        del found["crop_border"]
    if values.get("multiview"):
        if "test_views" not in known:
            raise UsageError(f"no multiview test: data provider {provider!r} has one view of each case only")
        found["test_views"] = views_of(provider)
    return found


def run_changes(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recorded options of a run that the command line changes."""
    from convnet_cfg.training.options import Options
    from convnet_cfg.training.setup import locate

    run, _ = locate(path)
    before = Options.from_json(run.read_record()["options"])
    names = {option.name for option in fields(Options)}
    changes = {name: value for name, value in given.items() if name in names}
    if changes.get("data_provider") == "":
        changes["data_provider"] = provider_of_data(changes.get("data_path", before.data_path))
    provider = changes.get("data_provider", before.data_provider)
    if {"data_path", "data_provider"} & set(changes):
        changes["data_path"] = used_path(provider, changes.get("data_path", before.data_path))
    if {*PROVIDER_OPTIONS, "multiview", "data_provider", "own_options"} & set(given):
        known = {**_still_known(before, provider), "multiview": before.multiview, **given}
        same = before.provider_options if provider == before.data_provider else {}
        kept = {name: value for name, value in same.items() if name != "test_views"}
        changes["provider_options"] = {**kept, **provider_options(provider, known)}
    return changes


def _still_known(before: Options, provider: str) -> dict[str, Any]:
    """Return those of a run's options of its data provider that another provider takes too."""
    from convnet_cfg.data import options_of

    known = options_of(provider)
    return {name: value for name, value in before.provider_options.items() if name in known}
