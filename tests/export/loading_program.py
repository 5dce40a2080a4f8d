"""Loads the models of a folder as anybody would, and writes what they compute: a program."""

import sys

if sys.argv[2] == "keras first":
    import keras

    import convnet_cfg
else:
    import convnet_cfg  # isort: skip
    import keras

from pathlib import Path

import numpy as np

assert "convnet_cfg.nn" not in sys.modules
for path in Path(sys.argv[1]).glob(f"{sys.argv[3]}.keras"):
    model = keras.saving.load_model(path)
    assert not model.compiled
    with np.load(path.with_suffix(".npz")) as arrays:
        inputs = dict(arrays)
    found = model(inputs if isinstance(model.input, dict) else next(iter(inputs.values())), training=False)
    found = found if isinstance(found, dict) else {"": found}
    np.savez(path.with_suffix(".found.npz"), **{name: np.asarray(value) for name, value in found.items()})
print(convnet_cfg.__name__)
