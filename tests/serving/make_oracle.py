"""Makes SavedModels with TensorFlow 2.9 and notes what Python computes with them: make_oracle.py FOLDER

FOLDER/NAME/VERSION is a model; FOLDER/NAME.npz holds inputs ("in:ALIAS") and outputs ("out:ALIAS") of serving_default.
"""

import pathlib
import runpy
import sys

import numpy as np
import tensorflow as tf

out = pathlib.Path(sys.argv[1])
runpy.run_path(str(pathlib.Path(__file__).resolve().parent / "make_models.py"))
tf.keras.utils.set_random_seed(7)
rng = np.random.default_rng(7)


def two_inputs():
    """A Keras model with two inputs and two outputs."""
    a = tf.keras.Input([4], name="a")
    b = tf.keras.Input([3], name="b")
    hidden = tf.keras.layers.Dense(16, activation="relu")(tf.keras.layers.Concatenate()([a, b]))
    return tf.keras.Model([a, b], {"score": tf.keras.layers.Dense(1, name="score")(hidden),
                                   "probabilities": tf.keras.layers.Dense(5, activation="softmax", name="probabilities")(hidden)})


def sequences():
    """Rows of any length, embedded, read by an LSTM: loops and a size that varies besides the batch's."""
    return tf.keras.Sequential([tf.keras.layers.InputLayer([None], dtype=tf.int32, name="tokens"),
                                tf.keras.layers.Embedding(50, 8), tf.keras.layers.LSTM(12),
                                tf.keras.layers.Dense(3, name="logits")])


two_inputs().save(out / "two_inputs/1")
sequences().save(out / "sequences/1")
tf.keras.applications.ResNet50(weights=None, classes=100).save(out / "resnet50/1")

INPUTS = {
    "half_plus_two_tf2": {"x": rng.normal(size=(7, 3)).astype(np.float32)},
    "mixed": {"ids": np.array([[1, -2], [2**40, 4]]), "text": np.array([b"a", b"\xc3\xa4z"]), "flag": np.array([True, False])},
    "lookup": {"word": np.array([b"gamma", b"none", b"alpha"])},
    "two_inputs": {"a": rng.normal(size=(5, 4)).astype(np.float32), "b": rng.normal(size=(5, 3)).astype(np.float32)},
    "sequences": {"tokens": rng.integers(0, 50, size=(4, 9)).astype(np.int32)},
    "resnet50": {"input_1": rng.random(size=(1, 224, 224, 3)).astype(np.float32)},
}
for name, given in INPUTS.items():
    version = max(int(folder.name) for folder in (out / name).iterdir())
    run = tf.saved_model.load(str(out / name / str(version))).signatures["serving_default"]
    got = run(**{key: tf.constant(value) for key, value in given.items()})
    # Fixed-width bytes, so that no file holds pickled objects.
    plain = lambda value: value.astype("S") if value.dtype == object else value
    np.savez(out / f"{name}.npz", **{"in:" + key: plain(value) for key, value in given.items()},
             **{"out:" + key: plain(value.numpy()) for key, value in got.items()})
(out / "complete").touch()
