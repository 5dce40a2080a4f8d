"""What a training is to do: every option, as it is recorded in run.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from types import NoneType
from typing import Any

from convnet_cfg.errors import CheckpointError
from convnet_cfg.language import Reading
from convnet_cfg.language.params import DEFAULT_DECAY

# What the annotations of the options mean for a value that was read from JSON.
KINDS: Mapping[str, Any] = {
    "str": str,
    "str | None": (str, NoneType),
    "int": int,
    "float": (int, float),
    "bool": bool,
    "tuple[int, ...]": tuple,
    "tuple[str, ...]": tuple,
    "Mapping[str, Any]": dict,
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a run; the defaults are those of cuda-convnet v1 where it had the option."""

    data_provider: str
    data_path: str | None = None
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    train_range: tuple[int, ...]
    test_range: tuple[int, ...]
    epochs: int = 50000
    minibatch: int = 128
    test_freq: int = 50  # batches between tests
    test_one: bool = True  # each test takes the next batch of the test range only
    multiview: bool = False
    seed: int = 0
    decay: str = DEFAULT_DECAY
    rate_factor: float = 1.0  # all learning rates are multiplied by it
    max_filesize: int = 0  # MB of checkpoints to keep; 0: the newest only
    mode: str = "default"  # lenient, default or strict
    dialect: str | None = None  # None: as the files show
    average_divisor: str | None = None  # existing or nominal; None: as the dialect has it
    ignore_gpu: bool = False  # train layers that were spread over devices as one plain network
    allowed_functions: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()  # modules and files that add layer types and the like

    @property
    def reading(self) -> Reading:
        """How the files are read."""
        return Reading(self.mode, self.dialect, self.average_divisor, self.ignore_gpu)

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON can hold them."""
        plain = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Options:
        """Return the options of a run.json.

        Raises:
            CheckpointError: they are not all there, or there are others.
        """
        names = {option.name for option in fields(cls)}
        if unknown := set(record) - names:
            raise CheckpointError(
                f"run.json has options unknown to this version: {', '.join(sorted(unknown))}"
            )
        lists = {name: tuple(value) for name, value in record.items() if isinstance(value, list)}
        try:
            options = cls(**{**record, **lists})
        except TypeError as error:
            raise CheckpointError(f"run.json does not have every option: {error}") from None
        for option in fields(cls):
            value = getattr(options, option.name)
            if not isinstance(value, KINDS[str(option.type)]):
                raise CheckpointError(f"run.json has a wrong value for the option {option.name}: {value!r}")
        return options

    def changed(self, given: Mapping[str, Any]) -> Options:
        """Return the options with those given anew."""
        return replace(self, **given)
