"""Writes the SavedModels that the tests serve; run it with TensorFlow 2.9: make_models.py FOLDER

The results are committed beside this file, so that the tests need no Python TensorFlow.
"""

import pathlib
import shutil
import sys

import tensorflow as tf

tf1 = tf.compat.v1
out = pathlib.Path(sys.argv[1])


def fresh(name, version=1):
    folder = out / name / str(version)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return str(folder)


def linear_tf1(name, b, version):
    """y = x / 2 + b as a graph of TensorFlow 1, with predict, classify and regress signatures."""
    with tf.Graph().as_default(), tf1.Session() as session:
        weight = tf1.get_variable("a", initializer=0.5, use_resource=False)
        bias = tf1.get_variable("b", initializer=float(b), use_resource=False)
        serialized = tf1.placeholder(tf.string, name="tf_example")
        parsed = tf.io.parse_example(serialized, {"x": tf.io.FixedLenFeature([1], tf.float32)})
        x = tf.identity(parsed["x"], name="x")
        y = tf.add(tf.multiply(weight, x), bias, name="y")
        info = tf1.saved_model.build_tensor_info
        build = tf1.saved_model.build_signature_def
        signatures = {
            "serving_default": build({"x": info(x)}, {"y": info(y)}, "tensorflow/serving/predict"),
            "regress_x_to_y": build({"inputs": info(serialized)}, {"outputs": info(y)}, "tensorflow/serving/regress"),
            "classify_x_to_y": build({"inputs": info(serialized)}, {"scores": info(y)}, "tensorflow/serving/classify"),
        }
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(fresh(name, version))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()


class Linear(tf.Module):
    def __init__(self, b):
        super().__init__()
        self.a, self.b = tf.Variable(0.5), tf.Variable(float(b))

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def __call__(self, x):
        return {"y": self.a * x + self.b}


class Counter(tf.Module):
    def __init__(self):
        super().__init__()
        self.count = tf.Variable(0.0)

    @tf.function(input_signature=[])
    def increment(self):
        return {"count": self.count.assign_add(1.0)}


class Mixed(tf.Module):
    """Several inputs and outputs of several types; strings; an output whose alias ends in _bytes."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.int64, name="ids"),
                                  tf.TensorSpec([None], tf.string, name="text"),
                                  tf.TensorSpec([None], tf.bool, name="flag")])
    def __call__(self, ids, text, flag):
        joined = tf.strings.join([text, tf.strings.as_string(tf.reduce_sum(ids, axis=1))], separator=":")
        return {"joined": joined, "joined_bytes": joined, "twice": ids * 2,
                "third": tf.cast(ids, tf.float64) / 3.0, "not_flag": tf.logical_not(flag)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def echo(self, text):
        return {"text": text}


class Batch(tf.Module):
    """Tells every row how many rows ran with it."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="word"), tf.TensorSpec([None], tf.int64, name="wait")])
    def __call__(self, word, wait):
        n = tf.while_loop(lambda i: i < tf.reduce_max(wait), lambda i: [i + 1], [tf.constant(0, tf.int64)])[0]
        return {"word": word, "rows": tf.fill(tf.shape(word), tf.size(word)) + tf.cast(n * 0, tf.int32)}


class Lookup(tf.Module):
    """A vocabulary in an asset file."""

    def __init__(self, path):
        super().__init__()
        self.path = tf.saved_model.Asset(path)
        init = tf.lookup.TextFileInitializer(self.path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
                                             tf.lookup.TextFileIndex.LINE_NUMBER)
        self.table = tf.lookup.StaticHashTable(init, default_value=-1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="word")])
    def __call__(self, word):
        return {"id": self.table.lookup(word)}


linear_tf1("half_plus_two", 2, 123)
linear_tf1("half_plus_three", 3, 1)
for version, b in ((1, 2), (2, 3)):
    model = Linear(b)
    tf.saved_model.save(model, fresh("half_plus_two_tf2", version), {"serving_default": model.__call__})
counter = Counter()
tf.saved_model.save(counter, fresh("counter"), {"serving_default": counter.increment})
mixed = Mixed()
tf.saved_model.save(mixed, fresh("mixed"), {"serving_default": mixed.__call__, "echo": mixed.echo})
batch = Batch()
tf.saved_model.save(batch, fresh("batch"), {"serving_default": batch.__call__})
words = out / "vocabulary.txt"
words.write_text("alpha\nbeta\ngamma\n")
lookup = Lookup(str(words))
tf.saved_model.save(lookup, fresh("lookup"), {"serving_default": lookup.__call__})
words.unlink()
