"""The gRPC interface of slipway-serve, asked by the unmodified clients of PyPI; TensorFlow in Python is the oracle."""

import os
import pathlib
import shutil
import sys
import tempfile
import threading

import server
from server import MODELS, Server, eventually

server.skip_without_tensorflow()
server.continue_in("tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import grpc
import numpy as np
import oracle as oracle_models
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (classification_pb2, get_model_metadata_pb2, get_model_status_pb2, inference_pb2,
                                     model_management_pb2, model_service_pb2_grpc, predict_pb2, prediction_log_pb2,
                                     prediction_service_pb2_grpc, regression_pb2)


def channel(s):
    return grpc.insecure_channel(f"127.0.0.1:{s.ports['gRPC']}", [("grpc.max_receive_message_length", -1),
                                                                   ("grpc.max_send_message_length", -1)])


def stub(c):
    return prediction_service_pb2_grpc.PredictionServiceStub(c)


def predict_request(name, inputs, signature="", **spec):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    if "label" in spec:
        request.model_spec.version_label = spec["label"]
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(value if isinstance(value, TensorProto)
                                     else tf.make_tensor_proto(value))
    return request


def error_of(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    raise AssertionError("the call did not fail")


def models(folder, **models):
    path = pathlib.Path(folder) / "models.config"
    path.write_text("model_config_list {%s}" % " ".join(
        f'config {{ name: "{name}" base_path: "{MODELS}/{base}" {extra} }}' for name, (base, extra) in models.items()))
    return f"--model_config_file={path}"


ALL = dict(half=("half_plus_two", 'version_labels { key: "stable" value: 123 }'), half2=("half_plus_two_tf2", ""),
           counter=("counter", ""), mixed=("mixed", ""), lookup=("lookup", ""))


def test_the_models_of_the_oracle():
    """Keras with several inputs, an LSTM, a ResNet-50 and others, as typed fields and as bytes."""
    for flags in ([], ["--enable_serialization_as_tensor_content"]):
        with oracle_models.start(*flags) as s, channel(s) as c:
            for name in oracle_models.NAMES:
                given, expected = oracle_models.oracle(name)
                got = stub(c).Predict(predict_request(name, given), 60)
                assert set(got.outputs) == set(expected), name
                for key, value in expected.items():
                    oracle_models.check(f"{name} {key}", tf.make_ndarray(got.outputs[key]), value)


def test_every_model_gives_the_numbers_of_python():
    inputs = {
        "half2": {"x": np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)},
        "mixed": {"ids": np.array([[1, -2], [2**40, 4]]), "text": np.array([b"a", b"\xff\x00z"]),
                  "flag": np.array([True, False])},
        "lookup": {"word": np.array([b"gamma", b"none", b"alpha"])},
    }
    with tempfile.TemporaryDirectory() as folder, Server(models(folder, **ALL)) as s, channel(s) as c:
        for name, given in inputs.items():
            version = max(int(p.name) for p in (MODELS / ALL[name][0]).iterdir())
            oracle = tf.saved_model.load(str(MODELS / ALL[name][0] / str(version))).signatures["serving_default"]
            expected = oracle(**{k: tf.constant(v) for k, v in given.items()})
            got = stub(c).Predict(predict_request(name, given), 10)
            assert set(got.outputs) == set(expected), name
            assert got.model_spec.version.value == version and got.model_spec.signature_name == "serving_default"
            for key, value in expected.items():
                np.testing.assert_array_equal(tf.make_ndarray(got.outputs[key]), value.numpy())


def test_every_type_goes_there_and_back():
    class Echo(tf.Module):
        pass

    types = [tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64,
             tf.bool, tf.string, tf.float16, tf.bfloat16, tf.complex64, tf.complex128]
    with tempfile.TemporaryDirectory() as folder:
        module, signatures, values = Echo(), {}, {}
        for dtype in types:
            signatures[dtype.name] = tf.function(lambda x: {"y": tf.identity(x)}, input_signature=[
                tf.TensorSpec(None, dtype, name="x")])
            module.__dict__[dtype.name] = signatures[dtype.name]
            values[dtype.name] = (tf.constant([[b"a"], [b""]]) if dtype == tf.string else
                                  tf.cast(tf.constant([[0], [1]]), dtype))
        tf.saved_model.save(module, folder + "/m/1", {k: f.get_concrete_function() for k, f in signatures.items()})
        for flags in ([], ["--enable_serialization_as_tensor_content"]):
            with Server("--model_name=m", f"--model_base_path={folder}/m", *flags) as s, channel(s) as c:
                for dtype in types:
                    value = values[dtype.name].numpy()
                    got = stub(c).Predict(predict_request("m", {"x": value}, dtype.name), 10).outputs["y"]
                    np.testing.assert_array_equal(tf.make_ndarray(got), value, dtype.name)
                    assert bool(got.tensor_content) == (bool(flags) and dtype != tf.string), dtype


def test_predict_options_and_errors():
    with tempfile.TemporaryDirectory() as folder, Server(models(folder, **ALL)) as s, channel(s) as c:
        call = stub(c).Predict
        x = np.array([1, 2], np.float32)
        assert list(call(predict_request("half", {"x": x}, version=123), 10).outputs["y"].float_val) == [2.5, 3.0]
        assert list(call(predict_request("half", {"x": x}, label="stable"), 10).outputs["y"].float_val) == [2.5, 3.0]
        filled = tf.make_tensor_proto(3.0, tf.float32, [4])
        assert list(call(predict_request("half", {"x": filled}), 10).outputs["y"].float_val) == [3.5] * 4
        request = predict_request("mixed", {"ids": np.array([[1, 2]]), "text": [b"a"], "flag": [True]})
        request.output_filter.append("twice")
        assert list(call(request, 10).outputs) == ["twice"]
        request.output_filter.append("twice")
        assert error_of(call, request)[0] == "INVALID_ARGUMENT"
        request.output_filter[:] = ["nothing"]
        assert "alias not found" in error_of(call, request)[1]
        assert error_of(call, predict_request("none", {"x": x})) == ("NOT_FOUND",
                                                                     "Servable not found for request: Latest(none)")
        assert error_of(call, predict_request("half", {"x": x}, "nope")) == (
            "FAILED_PRECONDITION", 'Serving signature key "nope" not found.')
        assert error_of(call, predict_request("half", {"y": x})) == (
            "INVALID_ARGUMENT", "input size does not match signature: 1!=1 len({y}) != len({x}). Sent extra: {y}. "
                                "Missing but required: {x}.")
        assert "expected type float but got int64" in error_of(call, predict_request("half", {"x": np.array([1])}))[1]
        huge = tf.make_tensor_proto(3.0, tf.float32, [1])
        huge.tensor_shape.dim[0].size = 2**62
        assert "too large or negative" in error_of(call, predict_request("half", {"x": huge}))[1]
        huge.tensor_shape.dim[0].size = -1
        assert "too large or negative" in error_of(call, predict_request("half", {"x": huge}))[1]
        big = np.arange(2_000_000, dtype=np.float32)
        np.testing.assert_array_equal(tf.make_ndarray(call(predict_request("half", {"x": big}), 30).outputs["y"]),
                                      big / 2 + 2)


def test_a_deadline_stops_the_run():
    class Slow(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.int64, name="n")])
        def __call__(self, n):
            return {"i": tf.while_loop(lambda i: i < n, lambda i: [i + 1], [tf.constant(0, tf.int64)])[0]}

    with tempfile.TemporaryDirectory() as folder:
        slow = Slow()
        tf.saved_model.save(slow, folder + "/m/1", {"serving_default": slow.__call__})
        with Server("--model_name=m", f"--model_base_path={folder}/m") as s, channel(s) as c:
            assert stub(c).Predict(predict_request("m", {"n": np.int64(3)}), 10).outputs["i"].int64_val[0] == 3
            request = predict_request("m", {"n": np.int64(10**12)})
            assert error_of(stub(c).Predict, request, timeout=0.3)[0] == "DEADLINE_EXCEEDED"
            eventually(lambda: 'request_count{model_name="m",status="DEADLINE_EXCEEDED"} 1' in s.rest("/metrics")[1])


def test_classify_regress_multi_inference():
    def fill(request, signature):
        request.model_spec.name, request.model_spec.signature_name = "half", signature
        for x in (80.0, 20.0):
            example = request.input.example_list.examples.add()
            example.features.feature["x"].float_list.value.append(x)
        return request

    with tempfile.TemporaryDirectory() as folder, Server(models(folder, **ALL)) as s, channel(s) as c:
        got = stub(c).Regress(fill(regression_pb2.RegressionRequest(), "regress_x_to_y"), 10)
        assert [r.value for r in got.result.regressions] == [42.0, 12.0] and got.model_spec.version.value == 123
        got = stub(c).Classify(fill(classification_pb2.ClassificationRequest(), "classify_x_to_y"), 10)
        assert [k.classes[0].score for k in got.result.classifications] == [42.0, 12.0]
        request = inference_pb2.MultiInferenceRequest()
        for signature, method in (("regress_x_to_y", "regress"), ("classify_x_to_y", "classify")):
            task = request.tasks.add()
            task.model_spec.name, task.model_spec.signature_name = "half", signature
            task.method_name = "tensorflow/serving/" + method
        request.input.example_list.examples.add().features.feature["x"].float_list.value.append(80.0)
        got = stub(c).MultiInference(request, 10)
        assert got.results[0].regression_result.regressions[0].value == 42.0
        assert got.results[1].classification_result.classifications[0].classes[0].score == 42.0
        empty = regression_pb2.RegressionRequest()
        empty.model_spec.name = "half"
        assert error_of(stub(c).Regress, empty) == ("INVALID_ARGUMENT", "Input is empty.")


def test_metadata_status_reload():
    with tempfile.TemporaryDirectory() as folder, Server(models(folder, **ALL)) as s, channel(s) as c:
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = "half"
        got = stub(c).GetModelMetadata(request, 10)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        got.metadata["signature_def"].Unpack(signatures)
        assert signatures.signature_def["serving_default"].inputs["x"].dtype == tf.float32.as_datatype_enum
        service = model_service_pb2_grpc.ModelServiceStub(c)
        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name = "half"
        (version,) = service.GetModelStatus(status, 10).model_version_status
        assert (version.version, version.state) == (123, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
        reload = model_management_pb2.ReloadConfigRequest()
        config = reload.config.model_config_list.config.add()
        config.name, config.base_path, config.model_platform = "two", f"{MODELS}/half_plus_two_tf2", "tensorflow"
        config.model_version_policy.specific.versions.append(1)
        config.version_labels["old"] = 1
        assert service.HandleReloadConfigRequest(reload, 30).status.error_code == 0
        x = np.array([1], np.float32)
        assert list(stub(c).Predict(predict_request("two", {"x": x}, label="old"), 10).outputs["y"].float_val) == [2.5]
        assert error_of(stub(c).Predict, predict_request("half", {"x": x}))[0] == "NOT_FOUND"


def test_warm_up_requests_run_before_a_version_serves():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("counter", "half_plus_two"):
            shutil.copytree(MODELS / name, pathlib.Path(folder) / name)
        counter = pathlib.Path(folder) / "counter/1/assets.extra"
        half = pathlib.Path(folder) / "half_plus_two/123/assets.extra"
        counter.mkdir()
        half.mkdir()
        with tf.io.TFRecordWriter(str(counter / "tf_serving_warmup_requests")) as writer:
            for _ in range(3):
                log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(
                    request=predict_request("counter", {})))
                writer.write(log.SerializeToString())
        regress = regression_pb2.RegressionRequest()
        regress.model_spec.signature_name = "regress_x_to_y"
        regress.input.example_list.examples.add().features.feature["x"].float_list.value.append(1.0)
        with tf.io.TFRecordWriter(str(half / "tf_serving_warmup_requests")) as writer:
            writer.write(prediction_log_pb2.PredictionLog(regress_log=prediction_log_pb2.RegressLog(
                request=regress)).SerializeToString())
        with Server("--model_name=counter", f"--model_base_path={folder}/counter") as s, channel(s) as c:
            assert stub(c).Predict(predict_request("counter", {}), 10).outputs["count"].float_val[0] == 4.0
        with Server("--model_name=counter", f"--model_base_path={folder}/counter", "--enable_model_warmup=false") as s:
            with channel(s) as c:
                assert stub(c).Predict(predict_request("counter", {}), 10).outputs["count"].float_val[0] == 1.0
        with Server("--model_name=half", f"--model_base_path={folder}/half_plus_two"):
            pass
        records = half / "tf_serving_warmup_requests"
        broken = bytearray(records.read_bytes())
        broken[20] ^= 1
        records.write_bytes(broken)
        with Server("--model_name=half", f"--model_base_path={folder}/half_plus_two", "--max_num_load_retries=0",
                    wait=False) as s:
            assert s.process.wait(20) == 1
            s.wait_for("version did not load",
                       reason="DATA_LOSS: Please verify your warmup data is in TFRecord format.")


def test_many_calls_on_one_connection():
    with tempfile.TemporaryDirectory() as folder, Server(models(folder, **ALL)) as s, channel(s) as c:
        futures = [(i, stub(c).Predict.future(predict_request("half", {"x": np.full(1 + i % 50, i, np.float32)}), 30))
                   for i in range(2000)]
        for i, future in futures:
            assert list(future.result().outputs["y"].float_val) == [i / 2 + 2] * (1 + i % 50)


def test_clients_that_hang_up_disturb_nobody():
    with tempfile.TemporaryDirectory() as folder, Server(models(folder, **ALL)) as s, channel(s) as c:
        big = predict_request("half", {"x": np.arange(200_000, dtype=np.float32)})

        def rude():
            for _ in range(20):
                with channel(s) as other:
                    calls = [stub(other).Predict.future(big, 30) for _ in range(4)]
                    calls[0].cancel()

        rudes = [threading.Thread(target=rude) for _ in range(3)]
        for r in rudes:
            r.start()
        for i in range(300):
            got = stub(c).Predict(predict_request("half", {"x": np.array([i], np.float32)}), 30)
            assert list(got.outputs["y"].float_val) == [i / 2 + 2]
        for r in rudes:
            r.join()
        eventually(lambda: "slipway_serving_connections_grpc 1\n" in s.rest("/metrics")[1])


def test_health():
    def call(c, method):
        multi = c.unary_stream if method == "Watch" else c.unary_unary
        return multi("/grpc.health.v1.Health/" + method)

    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder) / "m"
        with Server("--model_name=m", f"--model_base_path={base}", wait=False) as s:
            s.wait_for("listening", protocol="gRPC")
            with channel(s) as c:
                assert call(c, "Check")(b"", timeout=10) == b"\x08\x02"
                watch = call(c, "Watch")(b"", timeout=30)
                assert next(watch) == b"\x08\x02"
                staging = pathlib.Path(folder) / "staging"
                shutil.copytree(MODELS / "half_plus_two_tf2" / "1", staging)
                base.mkdir()
                staging.rename(base / "1")
                assert next(watch) == b"\x08\x01"
                assert error_of(call(c, "Check"), b"\n\x04nope", timeout=10)[0] == "NOT_FOUND"
                assert error_of(c.unary_unary("/x.Y/Z"), b"", timeout=10)[0] == "UNIMPLEMENTED"
                s.process.terminate()
                assert next(watch) == b"\x08\x02"
            assert s.process.wait(20) == 0


def test_reflection_describes_every_service():
    """A client that knows no message asks for them, builds one and is answered."""
    from google.protobuf import descriptor_pool, message_factory
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

    with tempfile.TemporaryDirectory() as folder, Server(models(folder, **ALL)) as s, channel(s) as c:
        database = ProtoReflectionDescriptorDatabase(c)
        assert set(database.get_services()) == {
            "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", "inference.GRPCInferenceService",
            "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
        pool = descriptor_pool.DescriptorPool(database)
        for service in database.get_services():
            for method in pool.FindServiceByName(service).methods:
                assert method.input_type and method.output_type, method.full_name
        predict = pool.FindServiceByName("tensorflow.serving.PredictionService").FindMethodByName("Predict")
        make = message_factory.MessageFactory(pool).GetPrototype
        request = make(predict.input_type)()
        request.model_spec.name = "half"
        request.inputs["x"].dtype = 1
        request.inputs["x"].float_val.append(3)
        request.inputs["x"].tensor_shape.dim.add().size = 1
        call = c.unary_unary("/tensorflow.serving.PredictionService/Predict")
        answer = make(predict.output_type).FromString(call(request.SerializeToString(), timeout=10))
        assert list(answer.outputs["y"].float_val) == [3.5]
        for unknown in (database.FindFileByName, database.FindFileContainingSymbol):
            try:
                unknown("nothing.of.the.kind")
                raise AssertionError("found what is not there")
            except KeyError:
                pass
        # ours has the fields of the originals, and no other meaning for any of them
        for name in ("tensorflow.serving.PredictRequest", "tensorflow.TensorProto", "tensorflow.serving.GetModelStatusResponse",
                     "tensorflow.serving.MultiInferenceResponse", "tensorflow.Feature", "tensorflow.SignatureDef"):
            original = descriptor_pool.Default().FindMessageTypeByName(name)
            for field in pool.FindMessageTypeByName(name).fields:
                assert original.fields_by_number[field.number].name == field.name, (name, field.name)
                assert original.fields_by_number[field.number].type == field.type, (name, field.name)


def test_a_socket_file():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "grpc.sock"
        with Server(models(folder, **ALL), f"--grpc_socket_path={path}") as s:
            with grpc.insecure_channel(f"unix:{path}") as c:
                got = stub(c).Predict(predict_request("half", {"x": np.array([1], np.float32)}), 10)
                assert list(got.outputs["y"].float_val) == [2.5]
            assert s.stop() == 0 and not path.exists()


server.run(globals())
