"""The models that TensorFlow in Python made and computed (make_oracle.py), served and compared."""

import pathlib
import tempfile

import numpy as np
from server import CLIENTS, Server

ORACLE = CLIENTS / "models"
NAMES = sorted(path.stem for path in ORACLE.glob("*.npz"))


def start(*flags):
    folder = tempfile.TemporaryDirectory()
    path = pathlib.Path(folder.name) / "models.config"
    path.write_text("model_config_list {%s}" % " ".join(
        f'config {{ name: "{name}" base_path: "{ORACLE / name}" }}' for name in NAMES + ["counter", "batch"]))
    started = Server(f"--model_config_file={path}", *flags)
    started.folder = folder
    return started


def oracle(name):
    """(inputs, outputs) as TensorFlow in Python has them; texts as objects."""
    data = np.load(ORACLE / f"{name}.npz")
    plain = lambda value: value.astype(object) if value.dtype.kind == "S" else value
    side = lambda which: {key[len(which):]: plain(data[key]) for key in data if key.startswith(which)}
    return side("in:"), side("out:")


def check(name, got, expected):
    assert got is not None, name
    if expected.dtype == object:
        texts = [t if isinstance(t, bytes) else str(t).encode() for t in np.asarray(got, dtype=object).ravel()]
        assert texts == list(expected.ravel()), name
    else:
        np.testing.assert_array_equal(np.asarray(got).reshape(expected.shape), expected, name)
