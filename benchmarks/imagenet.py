"""A definition of the size of those for ImageNet, in the dialect of cuda-convnet v1, for `convnet check`."""

from __future__ import annotations

from pathlib import Path

SIDE, CLASSES = 224, 1000

# Name, inputs, then what is peculiar to it. `filters` counts those of one group.
_LAYERS = (
    (
        "conv1",
        "data",
        "type=conv channels=3 filters=96 filterSize=11 stride=4 padding=2 neuron=relu initW=0.01",
    ),
    ("rnorm1", "conv1", "type=cmrnorm channels=96 size=5"),
    ("pool1", "rnorm1", "type=pool pool=max channels=96 start=0 sizeX=3 stride=2"),
    (
        "conv2",
        "pool1",
        "type=conv channels=96 filters=128 groups=2 filterSize=5 stride=1 padding=2 neuron=relu initW=0.01",
    ),
    ("rnorm2", "conv2", "type=cmrnorm channels=256 size=5"),
    ("pool2", "rnorm2", "type=pool pool=max channels=256 start=0 sizeX=3 stride=2"),
    (
        "conv3",
        "pool2",
        "type=conv channels=256 filters=384 filterSize=3 stride=1 padding=1 neuron=relu initW=0.03",
    ),
    (
        "conv4",
        "conv3",
        "type=conv channels=384 filters=192 groups=2 filterSize=3 stride=1 padding=1 neuron=relu initW=0.03",
    ),
    (
        "conv5",
        "conv4",
        "type=conv channels=384 filters=128 groups=2 filterSize=3 stride=1 padding=1 neuron=relu initW=0.03",
    ),
    ("pool5", "conv5", "type=pool pool=max channels=256 start=0 sizeX=3 stride=2"),
    ("fc6", "pool5", "type=fc outputs=4096 neuron=relu initW=0.005"),
    ("fc7", "fc6", "type=fc outputs=4096 neuron=relu initW=0.005"),
    ("fc8", "fc7", f"type=fc outputs={CLASSES} initW=0.01"),
    ("probs", "fc8", "type=softmax"),
    ("logprob", "labels,probs", "type=cost.logreg"),
)


def write_pair(folder: Path) -> tuple[Path, Path]:
    """Write the two files and return them."""
    layers, params = folder / "imagenet.cfg", folder / "imagenet.params.cfg"
    data = ["[data]\ntype=data\ndataIdx=0\n", "[labels]\ntype=data\ndataIdx=1\n"]
    layers.write_text("\n".join([*data, *map(_layer, _LAYERS)]))
    params.write_text("\n".join(text for name, _, keys in _LAYERS if (text := _params(name, keys))))
    return layers, params


def _layer(entry: tuple[str, str, str]) -> str:
    name, inputs, keys = entry
    lines = [f"[{name}]", f"inputs={inputs}", *keys.split()]
    if "type=conv" in lines:
        lines += ["sharedBiases=1", "partialSum=1"]
    return "\n".join(lines) + "\n"


def _params(name: str, keys: str) -> str:
    if "type=conv" in keys or "type=fc" in keys:
        return f"[{name}]\nepsW=0.01\nepsB=0.02\nmomW=0.9\nmomB=0.9\nwc=0.0005\n"
    if "cmrnorm" in keys:
        return f"[{name}]\nscale=0.0001\npow=0.75\n"
    return "[logprob]\ncoeff=1\n" if name == "logprob" else ""
