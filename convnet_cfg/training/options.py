"""What a training is to do: every option, as it is recorded in run.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from convnet_cfg.errors import CheckpointError
from convnet_cfg.language.params import DEFAULT_DECAY


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
    reading: str = "default"  # lenient, default or strict
    allowed_functions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON can hold them."""
        return asdict(self)

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
            return cls(**{**record, **lists})
        except TypeError as error:
            raise CheckpointError(f"run.json does not have every option: {error}") from None

    def changed(self, given: Mapping[str, Any]) -> Options:
        """Return the options with those given anew."""
        return replace(self, **given)
