"""Trains a small classifier on scikit-learn's digits, the same bits every time.

    python train.py [OUTPUT]

Writes OUTPUT/saved_model, loss.png, confusion.png and losses.json. Two runs give equal
losses, bit for bit: seeds are set, TensorFlow's deterministic kernels are on, and the
thread counts are pinned (another count sums in another order and gives other last
digits).
"""

import hashlib
import json
import os
import struct
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its kernels give other last digits
os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "")

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split

SEED = 29
EPOCHS = 20
BATCH = 32
THREADS = 2


def make_deterministic():
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    tf.keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()


def load():
    """Digits as rows of 64 pixels in 0..1 and labels: train and test parts."""
    digits = load_digits()
    pixels = (digits.data / 16.0).astype(np.float32)
    return train_test_split(
        pixels,
        digits.target.astype(np.int64),
        test_size=0.25,
        random_state=SEED,
        stratify=digits.target,
    )


def make_model():
    return tf.keras.Sequential(
        [
            tf.keras.layers.InputLayer(input_shape=(64,), name="pixels"),
            tf.keras.layers.Dense(64, activation="relu"),
            tf.keras.layers.Dropout(0.3, seed=SEED),
            tf.keras.layers.Dense(10, activation="softmax", name="probabilities"),
        ]
    )


def train(model, images, labels):
    """Returns the mean loss of each epoch as numpy float32."""
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy()
    optimizer = tf.keras.optimizers.Adam(0.002)

    @tf.function
    def step(batch, wanted):
        with tf.GradientTape() as tape:
            loss = loss_of(wanted, model(batch, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    data = (
        tf.data.Dataset.from_tensor_slices((images, labels))
        .shuffle(len(images), seed=SEED)
        .batch(BATCH)
    )
    losses = []
    for epoch in range(EPOCHS):
        mean = np.mean(
            [step(batch, wanted).numpy() for batch, wanted in data], dtype=np.float32
        )
        losses.append(mean)
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1:2d}  loss {mean:.8f}")
    return losses


def save_pictures(losses, truth, guesses, folder):
    sns.set_theme(style="whitegrid")
    curve = pd.DataFrame({"epoch": range(1, len(losses) + 1), "loss": losses})
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    sns.lineplot(data=curve, x="epoch", y="loss", marker="o", ax=axes)
    axes.set_title("training loss")
    axes.xaxis.get_major_locator().set_params(integer=True)
    figure.savefig(
        os.path.join(folder, "loss.png"), dpi=120, metadata={"Software": None}
    )
    figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
    sns.heatmap(
        confusion_matrix(truth, guesses), annot=True, fmt="d", cmap="Blues", ax=axes
    )
    axes.set(xlabel="predicted", ylabel="true", title="confusion on unseen digits")
    figure.savefig(
        os.path.join(folder, "confusion.png"), dpi=120, metadata={"Software": None}
    )


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "output"
    os.makedirs(folder, exist_ok=True)
    make_deterministic()
    train_x, test_x, train_y, test_y = load()
    model = make_model()
    losses = train(model, train_x, train_y)
    guesses = model.predict(test_x, verbose=0).argmax(axis=1)
    accuracy = float((guesses == test_y).mean())
    tf.saved_model.save(model, os.path.join(folder, "saved_model"))
    save_pictures(losses, test_y, guesses, folder)

    # The bits of the losses, so that "the same" means the same.
    bits = b"".join(struct.pack("<f", value) for value in losses)
    report = {
        "tensorflow": tf.__version__,
        "accuracy": accuracy,
        "losses": [float(value) for value in losses],
        "losses_sha256": hashlib.sha256(bits).hexdigest(),
    }
    with open(os.path.join(folder, "losses.json"), "w") as out:
        json.dump(report, out, indent=2)
        out.write("\n")
    print(f"accuracy {accuracy:.4f}")
    print(f"losses sha256 {report['losses_sha256']}")


if __name__ == "__main__":
    main()
