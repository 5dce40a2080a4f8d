import pytest
from sample_runs import SAMPLES, make_run, options_of, original


@pytest.fixture(scope="module")
def run_of(checkpoints, tmp_path_factory):
    """Make the run that stands where a sample stands."""

    def make(name, edit=None, **given):
        sample, checkpoint = SAMPLES[name], original(checkpoints, name)
        options = options_of(checkpoint, **sample.options | given)
        return make_run(tmp_path_factory.mktemp(name), checkpoint, sample, options, edit)

    return make
