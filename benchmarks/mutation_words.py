"""The words that configurations are mutated with: keys, types, activations, schedules, numbers, junk."""

from __future__ import annotations

from convnet_cfg.language.dialects import DIALECTS
from convnet_cfg.language.neurons import NEURONS
from convnet_cfg.language.spec import key_names

TYPES = sorted({name for dialect in DIALECTS.values() for name in (*dialect.layer_types, *dialect.refused)})
KEYS = sorted(
    {
        name
        for dialect in DIALECTS.values()
        for spec in dialect.layer_types.values()
        for each in (spec, spec.params, *([dialect.placement] if dialect.placement else []))
        for name in key_names(each, dialect)
    }
)
NUMBERS = [
    *map(str, (-1, 0, 1, 2, 3, 4, 5, 7, 16, 31, 32, 33, 64, 255, 1024, 3072, 3073, 65_536, 2**31, 2**63)),
    *("9" * 18, "9" * 19, "9" * 400, "-" + "9" * 18, "0" * 30 + "7", "1_000", "0x10", "1e3", "١٢", "+5"),
    *("0.5", "1.0", ".5", "5.", "-0.001", "1e-3", "1e308", "1e309", "5e-324", "inf", "-inf", "nan", "1,5"),
]
NEURON_TEXTS = [
    *(name + (f"[{','.join(['0.5'] * len(neuron.parameters))}]") for name, neuron in NEURONS.items()),
    *NEURONS,
    *("tanh[,]", "tanh[1e999,1]", "linear[1,2,3]", "brelu[-]", "dropout[2]", "relu[", "relu]", "tanh(1,2)"),
]
SCHEDULE_TEXTS = [
    *("const[base=0.1]", "linear[base=0.1;tgtFactor=10]", "exp[base=1e-3;tgtFactor=0]", "exp[base=.1]"),
    *("dexp[base=0.1;tgtFactor=250;numSteps=4]", "dexp[base=0.1;numSteps=4;tgtFactor=250]"),
    *("texp[base=0.1;tau=1e-300;stepsPerEpoch=99999999]", "dexp[base=1e308;tgtFactor=5e-324;numSteps=0]"),
    *("jdexp[tgtFactor=250,noiseStdev=0,numSteps=4]", "linear[tgtFactor=1,noiseStdev=1]", "default", "exp["),
    *("exp[base=1;tgtFactor=5e-324]", "linear[base=1;tgtFactor=1e-320]"),
    "exp[tgtFactor=1e-320,noiseStdev=0]",
    *("const[base=0.1 ;x]", "[base=0.1]", "const[]", "const[base]", "const[=]", "linear[1,1]"),
]
JUNK = [
    *("", " ", ",", ",,,", ";", "%", "%%", "%(x)s", "%(inputs)s", "%(__name__)s", "%()s", "%(", "%s", "="),
    *("[", "]", "[]", "\x00", "\x1b[31m", "é\u00a0\u2028\u202e", "\ufeff", "'", '""', "`id`", "${HOME}"),
    *("m.f(", "m.f(1,2)", "a.b.c", "os.system(ls)", "../../etc/passwd", "true", "no", "None", "random"),
    *("1 0; 0 1", "identity", "x" * 5000, "a.b(" + "1," * 3000 + "1)", "max", "avg", "rand", "# no comment"),
]
REPEATED = [
    *("%(", "%%", "%(x)s", "=", ":", " ", "\t", ",", "[", "]"),
    *(";", "x[", "a=", "1,", "-", ".", "(", "a.", "é"),
]
WORDS = (NUMBERS, NEURON_TEXTS, SCHEDULE_TEXTS, TYPES, JUNK)
LINE_STARTS = (" ", "\t", "# ", "; ", "rem ", "[", "]", "=", ":", "%", "\x0c", "\xa0", "x")
