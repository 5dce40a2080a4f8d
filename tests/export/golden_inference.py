"""The networks of the golden cases in one model, so that a format has to be written and loaded once only."""

from __future__ import annotations

import keras
import numpy as np
from golden_cases import as_original, close, entries
from golden_networks import GoldenNetwork

from convnet_cfg.export.inference import Inference, make_inference, ports

TOLERANCE = 2e-6  # of the largest value, as of our own network (tests/model/test_golden_networks.py)
CASES = 128  # a model has one number of cases for all of its inputs
# Masks that are drawn; what the original got wrong (the list there says what was intended).
LEFT_OUT = ("_train", "dc_fcdropo_two_inputs", "twice_eltsum_over_ident_test", "v2_twice_eltsum_test")


def names():
    """Return the cases whose outputs do not depend on training."""
    return [
        name
        for name, entry in entries().items()
        if "update_" not in name
        and not any(part in name for part in LEFT_OUT)
        and any(array.startswith("out_L") or array == "out_probs" for array in entry["arrays"])
    ]


class GoldenInference:
    """Cases, each part of one model with inputs and outputs of its own: `case__layer`."""

    def __init__(self, chosen):
        self.cases = {name: GoldenNetwork(name, images=True) for name in chosen}
        inputs, outputs, self.data, self.wanted = {}, {}, {}, {}
        for name, case in self.cases.items():
            case.assign(case.arrays)
            part = make_inference(case.built, name)
            own = {port.name: keras.Input(port.shape, name=f"{name}__{port.name}") for port in part.inputs}
            found = part.model(own)
            for port in part.inputs:
                inputs[f"{name}__{port.name}"] = own[port.name]
                number = case.built.data_indices[case.input_number(port.name)]
                self.data[f"{name}__{port.name}"] = as_many(case.data[number])
            for port in part.outputs:
                outputs[f"{name}__{port.name}"] = found[port.name]
                self.wanted[f"{name}__{port.name}"] = case.arrays[f"out_{port.name}"]
        self.inference = Inference(keras.Model(inputs, outputs), ports(inputs), ports(outputs), {})

    def differences(self, found):
        """Return how far outputs by name are from the original's numbers."""
        assert found.keys() == self.wanted.keys()
        return {name: close(first(found[name], wanted), wanted) for name, wanted in self.wanted.items()}


def as_many(data):
    """Return CASES cases: the same ones again and again."""
    assert len(data) <= CASES
    return np.resize(data, (CASES, *data.shape[1:]))


def first(found, wanted):
    """Return the cases that the original had, in its layout."""
    return as_original(np.asarray(found))[:, : wanted.shape[1]]
