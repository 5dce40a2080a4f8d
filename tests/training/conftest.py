import pytest
import tiny_runs


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Five batches of 40 images, 8 x 8 in colour."""
    return tiny_runs.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def own_data(tmp_path):
    """Data that a test may damage."""
    return tiny_runs.write_data(tmp_path / "data")


@pytest.fixture
def pair(tmp_path):
    """A folder with a small convolutional network with dropout."""
    tiny_runs.write_pair(tmp_path)
    return tmp_path


@pytest.fixture
def flat_pair(tmp_path):
    """A folder with a softmax regression."""
    tiny_runs.write_pair(tmp_path, tiny_runs.FLAT_LAYERS, tiny_runs.FLAT_PARAMS)
    return tmp_path
