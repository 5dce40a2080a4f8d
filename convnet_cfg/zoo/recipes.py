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
    one_of,
    read_number,
)
from convnet_cfg.language.params import DECAYS
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


def _read_option(text: str) -> str:
    name, equals, _ = text.partition("=")
    if not (name.isidentifier() and equals):
        raise ValueError(text)
    return text


TEXT = Kind(_read_text, "a text")
PERCENT = number_between(0, 100)
NOISE = Kind(_read_noise, "a number >= 0")
OPTION = Kind(_read_option, "NAME=VALUE")
PROVIDER_OPTIONS = ("crop_border", "inner_size", "color_noise", "scalar_mean")


@dataclass(frozen=True, kw_only=True)
class Data:
    """The data provider, what it is told, and the batches: those of every stage that names no others.

    `values` is the size of a case as the network gets it, after cropping. The provider's options stand here
    under its own names for them; those of a provider that has others are in `options`, as for
    `--provider-option`. `seed_option` names one that is the seed of the run.
    """

    provider: str = setting(TEXT)
    values: int | None = setting(at_least(1), default=None)
    crop_border: int | None = setting(at_least(0), default=None)
    inner_size: int | None = setting(at_least(0), default=None)
    color_noise: float | None = setting(NOISE, default=None)
    scalar_mean: float | None = setting(NUMBER, default=None)
    options: tuple[str, ...] = setting(OPTION, default=(), is_list=True)
    seed_option: str | None = setting(TEXT, default=None)
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
class Arm:
    """One of several ways to train that are compared: its kind of weight decay, and its published error."""

    name: str = setting(TEXT)
    decay: str = setting(one_of(*DECAYS))
    published_error_percent: float | None = setting(PERCENT, default=None)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One YAML file, checked; every stage has its ranges and its noise.

    With `arms`, all stages are run for each of them, once with each of the `seeds`, and what they reach is
    compared.
    """

    path: Path
    title: str = setting(TEXT)
    pair: str = setting(TEXT)
    data: Data = setting(Data)
    minibatch: int = setting(at_least(1), default=128)
    seed: int | None = setting(at_least(0), default=None)
    seeds: tuple[int, ...] = setting(at_least(0), default=(), is_list=True)
    test_frequency: int | None = setting(at_least(1), default=None)  # in batches, as --test-freq
    arms: tuple[Arm, ...] = setting(Arm, default=(), is_list=True)
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

    @property
    def first_seed(self) -> int | None:
        """The seed of a training of its own, None if the recipe has none."""
        return self.seeds[0] if self.seeds else self.seed

    def own_options(self, seed: int | None) -> tuple[str, ...]:
        """Return the options of the data provider that have no key of their own, for a run with this seed."""
        name = self.data.seed_option
        seeded = () if name is None or seed is None else (f"{name}={seed}",)
        return (*self.data.options, *seeded)

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
    _check_arms(recipe, document)
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


def _check_arms(recipe: Recipe, document: Document) -> None:
    names = [arm.name for arm in recipe.arms]
    for index, name in enumerate(names):
        if name in names[:index]:
            document.error(("arms", index, "name"), f"there is an arm {name!r} above")
    for index, seed in enumerate(recipe.seeds):
        if seed in recipe.seeds[:index]:
            document.error(("seeds", index), f"seed {seed} is given twice")
    if recipe.seeds and not recipe.arms:
        document.error(("seeds",), "seeds needs arms: for a single run there is seed")
    if recipe.seeds and recipe.seed is not None:
        document.error(("seed",), "seed and seeds cannot both be given")
    if recipe.arms and recipe.expected.accepted_error_percent is not None:
        document.error(
            ("expected", "accepted_error_percent"), "accepted_error_percent is for a recipe without arms"
        )


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
