"""Recipes: which pair is trained on which data, in which stages, and what is to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convnet_cfg.errors import ConfigError, UsageError
from convnet_cfg.language.kinds import (
    BATCHES,
    FLAG,
    NUMBER,
    POSITIVE,
    Kind,
    at_least,
    number_between,
    read_number,
)
from convnet_cfg.zoo.files import LAYERS_SUFFIX, PARAMS_SUFFIX, find_config, find_layers, find_params
from convnet_cfg.zoo.reading import Document, setting

NO_BATCHES = range(0)


def _read_text(text: str) -> str:
    if not text.strip():
        raise ValueError(text)
    return " ".join(text.split())


def _read_noise(text: str) -> float:
    if (number := read_number(text)) < 0:
        raise ValueError(text)
    return number


TEXT = Kind(_read_text, "a text")
PERCENT = number_between(0, 100)
NOISE = Kind(_read_noise, "a number >= 0")
PROVIDER_OPTIONS = ("crop_border", "inner_size", "color_noise", "scalar_mean")


@dataclass(frozen=True, kw_only=True)
class Data:
    """The data provider, what it is told, and the batches: those of every stage that names no others.

    `values` is the size of a case as the network gets it, after cropping. The provider's options stand here
    under its own names for them.
    """

    provider: str = setting(TEXT)
    values: int | None = setting(at_least(1), default=None)
    crop_border: int | None = setting(at_least(0), default=None)
    inner_size: int | None = setting(at_least(0), default=None)
    color_noise: float | None = setting(NOISE, default=None)
    scalar_mean: float | None = setting(NUMBER, default=None)
    train_range: range = setting(BATCHES)
    test_range: range = setting(BATCHES)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Training until `epochs` are done in all, at the parameter file's rates (epsW, epsB) times a factor.

    `params` names another parameter file than the pair's, for rates that change each in a way of its own.
    """

    epochs: int = setting(at_least(1))
    params: str | None = setting(TEXT, default=None)
    rate_factor: float = setting(POSITIVE, default=1.0)
    color_noise: float | None = setting(NOISE, default=None)
    train_range: range = setting(BATCHES, default=NO_BATCHES)
    test_range: range = setting(BATCHES, default=NO_BATCHES)
    note: str = setting(TEXT, default="")


@dataclass(frozen=True, kw_only=True)
class FinalTest:
    """The test after the last stage; `multiview` averages the predictions for several crops."""

    test_range: range = setting(BATCHES)
    multiview: bool = setting(FLAG, default=False)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A test error that somebody of this project measured."""

    error_percent: float = setting(PERCENT)
    data: str = setting(TEXT)
    note: str = setting(TEXT, default="")


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The published test error, where it is from, what is uncertain; `accepted_error_percent` is a bound."""

    published_error_percent: float | None = setting(PERCENT, default=None)
    accepted_error_percent: float | None = setting(PERCENT, default=None)
    source: str = setting(TEXT)
    uncertain: tuple[str, ...] = setting(TEXT, default=(), is_list=True)
    measured: tuple[Measurement, ...] = setting(Measurement, default=(), is_list=True)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The size of the network, the multiplications of a forward pass of one case, and words on time."""

    parameters: int = setting(at_least(1))
    multiply_adds: int = setting(at_least(1))
    time: str = setting(TEXT, default="")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One YAML file, checked; every stage has its ranges and its noise."""

    path: Path
    title: str = setting(TEXT)
    pair: str = setting(TEXT)
    data: Data = setting(Data)
    minibatch: int = setting(at_least(1), default=128)
    seed: int | None = setting(at_least(0), default=None)
    test_frequency: int | None = setting(at_least(1), default=None)  # in batches, as --test-freq
    stages: tuple[Stage, ...] = setting(Stage, is_list=True)
    final_test: FinalTest = setting(FinalTest)
    expected: Expected = setting(Expected)
    cost: Cost | None = setting(Cost, default=None)

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def files(self) -> tuple[Path, Path]:
        """The definition and the parameter file: a pair beside the recipe, else a shipped one.

        Raises:
            UsageError: there is neither.
        """
        own = self.path.parent / f"{self.pair}{LAYERS_SUFFIX}"
        if own.is_file():
            return own, self.path.parent / f"{self.pair}{PARAMS_SUFFIX}"
        return find_layers(self.pair)

    def params_of(self, stage: Stage) -> Path:
        """Return the parameter file of a stage: the pair's, or one that is looked for as the pair is.

        Raises:
            UsageError: there is none of the name that the stage gives.
        """
        if stage.params is None:
            return self.files[1]
        own = self.path.parent / f"{stage.params}{PARAMS_SUFFIX}"
        return own if own.is_file() else find_params(stage.params)

    def provider_options(self, stage: Stage) -> dict[str, Any]:
        """Return the options of the data provider that are set in a stage."""
        values = {name: getattr(self.data, name) for name in PROVIDER_OPTIONS}
        given = {**values, "color_noise": stage.color_noise}
        return {name: value for name, value in given.items() if value is not None}


def load_recipe(path_or_name: str | Path) -> Recipe:
    """Return the recipe in this file or, if there is no such file, the shipped one of this name.

    Raises:
        UsageError: there is neither, or the file cannot be read.
        ConfigError: everything that is wrong with the file.
    """
    path = Path(path_or_name)
    document = Document(path if path.is_file() else find_config(str(path_or_name)))
    recipe = document.read(Recipe, path=document.path)
    if recipe is not None:
        recipe = _with_defaults(recipe)
        _check(recipe, document)
    if recipe is None or document.problems:
        raise ConfigError(sorted(document.problems, key=lambda problem: problem.place))
    return recipe


def _with_defaults(recipe: Recipe) -> Recipe:
    """Return the recipe with the batches and the noise of the data in each stage that names none."""
    data = recipe.data
    stages = [
        replace(
            stage,
            train_range=stage.train_range or data.train_range,
            test_range=stage.test_range or data.test_range,
            color_noise=data.color_noise if stage.color_noise is None else stage.color_noise,
        )
        for stage in recipe.stages
    ]
    return replace(recipe, stages=tuple(stages))


def _check(recipe: Recipe, document: Document) -> None:
    """Report what does not fit together."""
    _check_pair(recipe, document)
    _check_stages(recipe.stages, document)
    _check_params(recipe, document)
    trained = [number for stage in recipe.stages if (number := _common(stage, recipe.final_test)) is not None]
    if trained:
        document.error(
            ("final_test", "test_range"), f"batch {trained[0]} is not held out: a stage trains on it"
        )
    if recipe.final_test.multiview and recipe.data.crop_border is None and recipe.data.inner_size is None:
        message = "multiview needs crops: data has neither crop_border nor inner_size"
        document.error(("final_test", "multiview"), message)


def _check_pair(recipe: Recipe, document: Document) -> None:
    try:
        missing = [path for path in recipe.files if not path.is_file()]
    except UsageError as error:
        document.error(("pair",), str(error))
        return
    for path in missing:
        document.error(("pair",), f"there is no file {path}")


def _check_params(recipe: Recipe, document: Document) -> None:
    for index, stage in enumerate(recipe.stages):
        if stage.params is not None:
            try:
                recipe.params_of(stage)
            except UsageError as error:
                document.error(("stages", index, "params"), str(error))


def _check_stages(stages: Sequence[Stage], document: Document) -> None:
    if not stages:
        document.error(("stages",), "stages has no item: expected at least one")
    for index, (before, stage) in enumerate(zip(stages, stages[1:], strict=False), start=1):
        if stage.epochs <= before.epochs:
            document.error(
                ("stages", index, "epochs"),
                f"epochs must be more than the {before.epochs} of the stage before, got {stage.epochs}: "
                "they count from the start of the training",
            )


def _common(stage: Stage, test: FinalTest) -> int | None:
    """Return a batch that a stage trains on and the test has too."""
    first = max(stage.train_range.start, test.test_range.start)
    return first if first < min(stage.train_range.stop, test.test_range.stop) else None
