"""Where the shipped definitions and recipes are, in an installed wheel and in a checkout alike."""

from __future__ import annotations

from pathlib import Path

from convnet_cfg.errors import UsageError, did_you_mean

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parents[1]

PARAMS_SUFFIX = ".params.cfg"
LAYERS_SUFFIX = ".cfg"
CONFIG_SUFFIX = ".yaml"


def names() -> tuple[str, ...]:
    """Return the names of the shipped networks, sorted; each has a pair of files, and a recipe."""
    folder = _folder("layers")
    return tuple(
        name for name in _stems("layers", PARAMS_SUFFIX) if (folder / f"{name}{LAYERS_SUFFIX}").is_file()
    )


def find_layers(name: str) -> tuple[Path, Path]:
    """Return the definition and the parameter file of a shipped network.

    `name` is one of `names()`; with the ending of either file it means the same. Files on disk are not looked
    at: a caller whose argument may be one asks here only when there is none.

    Raises:
        UsageError: there is no such network.
    """
    stem = _known(name, (PARAMS_SUFFIX, LAYERS_SUFFIX), names(), "network")
    folder = _folder("layers")
    return folder / f"{stem}{LAYERS_SUFFIX}", folder / f"{stem}{PARAMS_SUFFIX}"


def find_params(name: str) -> Path:
    """Return a shipped parameter file, of a network or of a later stage, named with or without its ending.

    Raises:
        UsageError: there is no such file.
    """
    stem = _known(name, (PARAMS_SUFFIX,), _stems("layers", PARAMS_SUFFIX), "parameter file")
    return _folder("layers") / f"{stem}{PARAMS_SUFFIX}"


def find_config(name: str) -> Path:
    """Return the recipe of this name, given with or without `.yaml`.

    Raises:
        UsageError: there is no such recipe.
    """
    stem = _known(name, (CONFIG_SUFFIX,), _stems("configs", CONFIG_SUFFIX), "recipe")
    return _folder("configs") / f"{stem}{CONFIG_SUFFIX}"


def _folder(kind: str) -> Path:
    """Return the folder of this kind: a wheel has it in this package, a checkout at its top."""
    for place in (PACKAGE, CHECKOUT):
        if (place / kind).is_dir():
            return place / kind
    raise UsageError(f"this installation of convnet-cfg lacks its {kind}/")


def _stems(kind: str, suffix: str) -> tuple[str, ...]:
    return tuple(sorted(path.name.removesuffix(suffix) for path in _folder(kind).glob(f"*{suffix}")))


def _known(name: str, suffixes: tuple[str, ...], known: tuple[str, ...], what: str) -> str:
    """Return the known name that is meant."""
    stem = next((name.removesuffix(suffix) for suffix in suffixes if name.endswith(suffix)), name)
    if stem not in known:
        hint = did_you_mean(stem, known)
        raise UsageError(
            f"there is no file {name!r}, and no {what} of that name comes along{hint}; "
            f"there are {', '.join(known)}"
        )
    return stem
