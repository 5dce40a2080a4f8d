import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # tests/references.py


def pytest_configure(config):
    # Keras 3.15 saves TensorFlow variables this way under NumPy 2.
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't accept:DeprecationWarning"
    )
