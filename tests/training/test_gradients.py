"""The check of gradients finds every wrong one, and nothing else."""

from math import prod

import numpy as np
import pytest
import tensorflow as tf
from tiny_runs import INPUTS

from convnet_cfg import nn
from convnet_cfg.data import DataProvider, open_provider
from convnet_cfg.errors import DataError
from convnet_cfg.language import Reading, load_network
from convnet_cfg.nn import activations, local, weighted
from convnet_cfg.training.gradients import WHOLE, GradientCheck, Verdict, check_gradients, report_lines
from convnet_cfg.zoo import find_config, find_layers, load_recipe, names

TOP = """
[top]
type=fc
inputs=LAST
outputs=4
initW=0.1
[probs]
type=softmax
inputs=top
[logprob]
type=cost.logreg
inputs=labels,probs
"""
RATES = "epsW=0.1\nepsB=0.1\nmomW=0\nmomB=0\nwc=0\n"
TOP_PARAMS = f"[top]\n{RATES}[logprob]\ncoeff=1\n"


class Images(DataProvider):
    """A few made-up images of 8 x 8 pixels; `levels` values only, so that many of them are equal."""

    shapes = ((8, 8, 4), (1,))
    num_classes = 4
    numbers = (1,)

    def __init__(self, levels=None):
        super().__init__()
        self.levels = levels

    def test_arrays(self, number):
        rng = np.random.default_rng(number)
        images = rng.normal(0, 2, (6, 8, 8, 4))
        if self.levels:
            images = rng.choice(self.levels, images.shape)
        return images.astype(np.float32), rng.integers(0, 4, 6)


@pytest.fixture
def check(tmp_path):
    """Return the function that writes the cfg files of a network and checks it."""

    def check(layers, params="", last="L", provider=None, top=TOP, top_params=TOP_PARAMS):
        files = tmp_path / "layers.cfg", tmp_path / "params.cfg"
        files[0].write_text(INPUTS + layers + top.replace("LAST", last))
        files[1].write_text(params + top_params)
        return check_files(files, provider or Images())

    return check


def check_files(files, provider, **options):
    dims = [prod(shape) for shape in provider.shapes]
    network = load_network(*files, data_dims=dims, reading=Reading("lenient"))
    return list(check_gradients(network, provider, 1, **options))


def verdicts(checks):
    return {f"{check.layer} {check.what}": check.verdict for check in checks}


def assert_all_pass(checks):
    wrong = [str(check) for check in checks if check.verdict is not Verdict.PASSED]
    assert checks
    assert not wrong


ONE = "initW=0.1\npartialSum=0\n"
CONV = f"type=conv\nchannels=4\nfilters=4\nfilterSize=3\npadding=1\n{ONE}"
SMOOTH = {
    "fc": "type=fc\ninputs=data\noutputs=7\ninitW=0.05\n",
    "conv": f"type=conv\ninputs=data\nchannels=4\nfilters=5\nfilterSize=3\npadding=1\nstride=2\n{ONE}",
    "conv in groups": "type=conv\ninputs=data\nchannels=4\nfilters=5\nfilterSize=4\nstride=3\ngroups=2\n"
    f"sharedBiases=0\n{ONE}",
    "conv, random sparsity": "type=conv\ninputs=data\nchannels=4\nfilters=3\nfilterSize=3\ngroups=4\n"
    f"randSparse=1\nfilterChannels=2\n{ONE}",
    "local": "type=local\ninputs=data\nchannels=4\nfilters=3\nfilterSize=3\npadding=1\nstride=2\ninitW=0.1\n",
    "two inputs": "type=fc\ninputs=data,data\noutputs=7\ninitW=0.05,0.05\n",
    "average pool": "type=pool\npool=avg\ninputs=data\nchannels=4\nsizeX=3\nstride=2\nstart=-1\n",
    "rnorm": "type=rnorm\ninputs=data\nchannels=4\nsize=4\n",
    "cmrnorm": "type=cmrnorm\ninputs=data\nchannels=4\nsize=3\n",
    "nailbed": "type=nailbed\ninputs=data\nchannels=4\nstride=2\n",
    "blur": "type=blur\ninputs=data\nchannels=4\nfilterSize=3\nstdev=1\n",
    "eltsum": "type=eltsum\ninputs=data,data\ncoeffs=0.5,-2\n",
    "logistic": "type=neuron\ninputs=data\nneuron=logistic\n",
    "tanh": "type=neuron\ninputs=data\nneuron=tanh[1.5,0.7]\n",
    "square": "type=neuron\ninputs=data\nneuron=square\n",
    "linear": "type=neuron\ninputs=data\nneuron=linear[-2,3]\n",
    "dropout": "type=fc\ninputs=data\noutputs=70\ninitW=0.05\n",
}
KINKED = {
    "relu": "type=neuron\ninputs=data\nneuron=relu\n",
    "brelu": "type=neuron\ninputs=data\nneuron=brelu[2]\n",
    "abs": "type=neuron\ninputs=data\nneuron=abs\n",
    "softrelu": "type=neuron\ninputs=data\nneuron=softrelu\n",
    "max pool": "type=pool\npool=max\ninputs=data\nchannels=4\nsizeX=3\nstride=2\nstart=-1\n",
}
PARAMS = {
    "rnorm": "scale=0.5\npow=0.75\n",
    "cmrnorm": "scale=0.5\npow=0.5\n",
    "dropout": f"{RATES}dropout=0.5\n",
    "two inputs": "epsW=0.1,0.1\nepsB=0.1\nmomW=0,0\nmomB=0\nwc=0,0\n",
}


@pytest.mark.parametrize("kind", [*SMOOTH, *KINKED])
def test_a_right_gradient_passes(check, kind):
    text = {**SMOOTH, **KINKED}[kind]
    checks = check(f"[L]\n{text}", f"[L]\n{PARAMS.get(kind, RATES)}")
    assert_all_pass(checks)
    assert max(check.error for check in checks) < 1e-7
    assert ("initW" in text) == ("L bias" in verdicts(checks)) == (f"{WHOLE} L/bias" in verdicts(checks))


@pytest.mark.parametrize("kind", KINKED)
def test_values_right_on_a_kink_are_no_false_alarm(check, kind):
    """A third of the values is at a kink, and windows of equal values have several maxima."""
    checks = check(f"[L]\n{KINKED[kind]}", provider=Images(levels=(-1.0, 0.0, 2.0, 4.0, 4.01, 7.0)))
    assert all(check.verdict is not Verdict.FAILED for check in checks)
    left = [check for check in checks if check.verdict is Verdict.NOT_MEASURED]
    assert [check.layer for check in left] in ([], ["L"])
    assert kind == "max pool" or not left


def test_a_network_that_hangs_at_its_ties(check):
    """Images of one value: every window of the pooling layer, and every input of eltmax, is a tie."""
    layers = (
        "[c]\n" + CONV + "inputs=data\nneuron=relu\n"
        "[p]\ntype=pool\npool=max\ninputs=c\nchannels=4\nsizeX=3\nstride=2\n"
        "[n]\ntype=neuron\ninputs=p\nneuron=ident\n[L]\ntype=eltmax\ninputs=p,n\n"
    )
    checks = check(layers, f"[c]\n{RATES}", provider=Images(levels=(1.0,)))
    found = verdicts(checks)
    assert Verdict.FAILED not in found.values()
    assert found["p input"] is found["L input 0"] is found["L input 1"] is Verdict.NOT_MEASURED
    assert found[f"{WHOLE} c/kernel"] is found[f"{WHOLE} c/bias"] is Verdict.NOT_MEASURED
    assert found[f"{WHOLE} top/kernel"] is Verdict.PASSED


def test_cnorm_is_said_to_agree_by_definition_only(check):
    layers = "[below]\n" + CONV + "inputs=data\n[L]\ntype=cnorm\ninputs=below\nchannels=4\nsize=3\n"
    checks = check(layers, f"[below]\n{RATES}[L]\nscale=2\npow=0.75\n")
    found = verdicts(checks)
    definition = {name for name, verdict in found.items() if verdict is Verdict.BY_DEFINITION}
    assert definition == {"L input", f"{WHOLE} below/kernel", f"{WHOLE} below/bias"}
    assert set(found.values()) == {Verdict.PASSED, Verdict.BY_DEFINITION}
    line = next(line for line in report_lines(checks) if line.startswith("L input"))
    assert line.endswith("(the means of cnorm count as constants)")


CNORM = "[L]\ntype=cnorm\ninputs=data\nchannels=4\nsize=3\n", "[L]\nscale=2\npow=0.75\n"


def test_cnorm_would_fail_without_its_means_held(check, monkeypatch):
    def forgetting(layer, image, means):
        return nn.ContrastNorm2D.call(layer, tf.convert_to_tensor(image))

    monkeypatch.setattr("convnet_cfg.training.gradients.normalized", forgetting)
    assert verdicts(check(*CNORM))["L input"] is Verdict.FAILED


def test_layers_that_pass_no_gradient_are_listed_as_such(check):
    checks = check("[L]\ntype=resize\ninputs=data\nchannels=4\nscale=1.5\n")
    assert verdicts(checks)["L input"] is Verdict.NO_GRADIENT
    lines = list(report_lines(checks))
    assert lines[0].startswith("L input: has no gradient")
    assert lines[-1] == f"ALL {len(checks) - 1} TESTS PASSED"


def test_a_matrix_shared_at_several_rates_is_checked_as_a_derivative(check):
    layer = "type=fc\noutputs=9\ninitW=0.2\n"
    layers = (
        f"[a]\n{layer}inputs=data\nneuron=tanh[1,1]\n[b]\n{layer}inputs=a\nneuron=tanh[1,1]\n"
        f"[L]\n{layer}inputs=b\nweightSource=b\n"
    )
    slow, frozen = RATES.replace("epsW=0.1", "epsW=0.01"), RATES.replace("epsW=0.1", "epsW=0")
    checks = check(layers, f"[a]\n{frozen}[b]\n{RATES}[L]\n{slow}")
    assert_all_pass(checks)
    assert {"b kernel", "L kernel", f"{WHOLE} b/kernel"} <= set(verdicts(checks))
    assert f"{WHOLE} L/kernel" not in verdicts(checks)


def test_several_costs_and_a_cost_that_counts_nothing(check):
    top = (
        TOP + "[other]\ntype=cost.logreg\ninputs=labels,probs\n[size]\ntype=cost.sum2\ninputs=top\n"
        "[idle]\ntype=cost.sum2\ninputs=LAST\n"
    )
    params = TOP_PARAMS + "[other]\ncoeff=0.25\n[size]\ncoeff=0.1\n[idle]\ncoeff=0\n"
    checks = check("[L]\ntype=neuron\ninputs=data\nneuron=tanh[1,1]\n", top=top, top_params=params)
    assert_all_pass(checks)
    assert {"logprob input probs", "other input probs", "size input top", "idle input L"} <= set(
        verdicts(checks)
    )


# -- wrong gradients


def with_wrong_gradient(function, factor):
    """Return the function of x with its gradient multiplied by a factor."""

    @tf.custom_gradient
    def wrong(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return y, lambda gradient: factor * tape.gradient(y, x, gradient)

    return wrong


@pytest.mark.parametrize(
    ("kind", "factor"),
    [("relu", 0.99), ("relu", 1.0001), ("logistic", 1.0001), ("logistic", 0.0), ("tanh[1,1]", -1.0)],
)
def test_a_wrong_activation_fails_in_the_layer_and_in_the_network(check, monkeypatch, kind, factor):
    name, _, rest = kind.partition("[")
    parameters = (1.0, 1.0) if rest else ()
    right = activations.ACTIVATIONS[name]
    wrong = with_wrong_gradient(lambda x: right(x, *parameters), factor)
    monkeypatch.setitem(activations.ACTIVATIONS, name, lambda x, *_: wrong(x))
    layers = (
        "[below]\ntype=fc\ninputs=data\noutputs=30\ninitW=0.1\n[L]\ntype=neuron\ninputs=below\nneuron=" + kind
    )
    checks = check(layers + "\n", f"[below]\n{RATES}")
    failed = {name for name, verdict in verdicts(checks).items() if verdict is Verdict.FAILED}
    assert failed == {"L input", f"{WHOLE} below/kernel", f"{WHOLE} below/bias"}
    error = next(check.error for check in checks if check.layer == "L")
    assert error == pytest.approx(abs((factor - 1) / factor) if factor else np.inf, rel=0.9)


def test_a_gradient_that_is_not_a_number_fails(check, monkeypatch):
    wrong = with_wrong_gradient(activations.ACTIVATIONS["logistic"], np.nan)
    monkeypatch.setitem(activations.ACTIVATIONS, "logistic", wrong)
    checks = check(f"[L]\n{SMOOTH['logistic']}")
    assert verdicts(checks)["L input"] is Verdict.FAILED


def test_one_missing_pixel_of_a_window_fails(check, monkeypatch):
    add_up = local._add_up

    def wrong(gradient, span):
        mask = np.ones(gradient.shape[-1])
        mask[0] = 0
        return add_up(gradient * mask, span)

    monkeypatch.setattr(local, "_add_up", wrong)
    found = verdicts(check(f"[L]\n{SMOOTH['local']}", f"[L]\n{RATES}"))
    assert [name for name, verdict in found.items() if verdict is Verdict.FAILED] == ["L input"]


def test_one_wrong_element_of_a_weight_matrix_fails(check, monkeypatch):
    def used_kernels(layer):
        masks = [np.ones(kernel.shape) for kernel in layer.kernels]
        for mask in masks:
            mask.flat[5] = 0.9
        return [
            kernel * mask + tf.stop_gradient(kernel * (1 - mask))
            for kernel, mask in zip(map(tf.convert_to_tensor, layer.kernels), masks, strict=True)
        ]

    monkeypatch.setattr(weighted.Weighted, "used_kernels", used_kernels)
    found = verdicts(check(f"[L]\n{SMOOTH['conv']}", f"[L]\n{RATES}"))
    wrong = {"L kernel", "top kernel", f"{WHOLE} L/kernel", f"{WHOLE} top/kernel"}
    assert {name for name, verdict in found.items() if verdict is Verdict.FAILED} == wrong


def test_a_wrong_gradient_of_cnorm_fails(check, monkeypatch):
    def call(layer, inputs):
        return with_wrong_gradient(lambda x: layer.normalized(x, x - x), 0.9)(inputs)

    monkeypatch.setattr(nn.ContrastNorm2D, "call", call)
    assert verdicts(check(*CNORM))["L input"] is Verdict.FAILED


def test_values_that_are_not_finite_are_not_measured(check):
    checks = check("[L]\ntype=neuron\ninputs=data\nneuron=sqrt\n")
    assert verdicts(checks)["L input"] is Verdict.NOT_MEASURED
    lines = list(report_lines(checks))
    assert lines[-2].endswith("COULD NOT BE MEASURED")
    assert "smaller first weights may help" in lines[0]


def test_a_label_out_of_range_is_an_error_of_the_data(check):
    class Mislabelled(Images):
        def test_arrays(self, number):
            images, labels = super().test_arrays(number)
            return images, labels * 0 + 4

    with pytest.raises(DataError, match="the label of case 0 is 4, expected a whole number from 0 to 3"):
        check(f"[L]\n{SMOOTH['fc']}", f"[L]\n{RATES}", provider=Mislabelled())


# -- the report


def test_the_report_ends_as_the_originals_did():
    passed = GradientCheck("conv1", "kernel", Verdict.PASSED, 2.5e-9)
    failed = GradientCheck("fc10", "bias", Verdict.FAILED, 0.5)
    assert list(report_lines([passed, passed])) == [
        "conv1 kernel: passed 2.5e-09",
        "conv1 kernel: passed 2.5e-09",
        "-------------------------",
        "ALL 2 TESTS PASSED",
    ]
    assert list(report_lines([passed, failed]))[1:] == [
        "fc10 bias: FAILED 5.0e-01",
        "-------------------------",
        "1/2 TESTS FAILED",
    ]


# -- the networks that come with the program


def provider_of(name):
    if name == "digits":
        return open_provider("digits")
    return open_provider(f"dummy-cn-{load_recipe(find_config(name)).data.values}")


# 61 million weights in double precision are beyond a test.
SMALL = [name for name in names() if load_recipe(find_config(name)).data.provider != "image"]
SLOW = set(SMALL) - {"digits"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in SMALL]
)
def test_every_gradient_of_a_shipped_network_passes(name):
    checks = check_files(find_layers(name), provider_of(name))
    allowed = {Verdict.PASSED} | ({Verdict.BY_DEFINITION} if name == "example" else set())
    assert {check.verdict for check in checks} == allowed
    assert any(check.layer == WHOLE for check in checks)
