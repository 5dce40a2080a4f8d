"""Recipes: which pair is trained on which data, in which stages, and what is to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convnet_cfg.errors import ConfigError, UsageError
from convnet_cfg.language.kinds import BATCHES, FLAG, POSITIVE, Kind, at_least, number_between
from convnet_cfg.zoo.files import LAYERS_SUFFIX, PARAMS_SUFFIX, find_config, find_layers
from convnet_cfg.zoo.reading import Document, setting

NO_BATCHES = range(0)


def _read_text(text: str) -> str:
    if not text.strip():
        raise ValueError(text)
    return " ".join(text.split())


TEXT = Kind(_read_text, "a text")
PERCENT = number_between(0, 100)


@dataclass(frozen=True, kw_only=True)
class Data:
    """The data provider, what it is told, and the batches: those of every stage that names no others."""

    provider: str = setting(TEXT)
    crop_border: int | None = setting(at_least(0), default=None)
    train_range: range = setting(BATCHES)
    test_range: range = setting(BATCHES)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Training until `epochs` are done in all, at the parameter file's rates (epsW, epsB) times a factor."""

    epochs: int = setting(at_least(1))
    rate_factor: float = setting(POSITIVE, default=1.0)
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
    """One YAML file, checked; every stage has its ranges."""

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
        recipe = _with_ranges(recipe)
        _check(recipe, document)
    if recipe is None or document.problems:
        raise ConfigError(sorted(document.problems, key=lambda problem: problem.place))
    return recipe


def _with_ranges(recipe: Recipe) -> Recipe:
    """Return the recipe with the batches of the data in each stage that names none."""
    train, test = recipe.data.train_range, recipe.data.test_range
    stages = [
        replace(stage, train_range=stage.train_range or train, test_range=stage.test_range or test)
        for stage in recipe.stages
    ]
    return replace(recipe, stages=tuple(stages))


def _check(recipe: Recipe, document: Document) -> None:
    """Report what does not fit together."""
    _check_pair(recipe, document)
    _check_stages(recipe.stages, document)
    trained = [number for stage in recipe.stages if (number := _common(stage, recipe.final_test)) is not None]
    if trained:
        document.error(
            ("final_test", "test_range"), f"batch {trained[0]} is not held out: a stage trains on it"
        )
    if recipe.final_test.multiview and recipe.data.crop_border is None:
        document.error(("final_test", "multiview"), "multiview needs crops: data has no crop_border")


def _check_pair(recipe: Recipe, document: Document) -> None:
    try:
        missing = [path for path in recipe.files if not path.is_file()]
    except UsageError as error:
        document.error(("pair",), str(error))
        return
    for path in missing:
        document.error(("pair",), f"there is no file {path}")


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
