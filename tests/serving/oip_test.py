"""The Open Inference Protocol, asked by the unmodified tritonclient, over REST and gRPC, and by hand."""

import json
import pathlib
import struct
import tempfile
import time

import server

server.skip_without_tensorflow()
server.continue_in("oip")
import grpc
import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from google.protobuf import descriptor_pb2, descriptor_pool
from oracle import NAMES, check, oracle, start
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

def error_of(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except InferenceServerException as error:
        return str(error)
    raise AssertionError("the call did not fail")


def inputs_of(module, given, **how):
    inputs = []
    for name, value in given.items():
        inputs.append(module.InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype)))
        inputs[-1].set_data_from_numpy(value, **how)
    return inputs


def test_triton_http_gives_the_numbers_of_python():
    with start() as s:
        client = triton_http.InferenceServerClient(f"127.0.0.1:{s.ports['REST']}", network_timeout=60)
        assert client.is_server_live() and client.is_server_ready()
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        for name in NAMES:
            given, expected = oracle(name)
            assert client.is_model_ready(name) and not client.is_model_ready(name, "77")
            metadata = client.get_model_metadata(name)
            assert {t["name"] for t in metadata["inputs"]} == set(given) and metadata["platform"] == "tensorflow_savedmodel"
            config = client.get_model_config(name)
            assert config["name"] == name and config["backend"] == "tensorflow" and config["max_batch_size"] == 0
            of_metadata = {t["name"]: ("TYPE_" + t["datatype"].replace("BYTES", "STRING"), t["shape"]) for t in metadata["inputs"]}
            assert {t["name"]: (t["data_type"], t["dims"]) for t in config["input"]} == of_metadata, config
            assert {t["name"] for t in config["output"]} == set(expected)
            for binary in (True, False):
                if name == "resnet50" and not binary:
                    continue  # 150,528 values through Python's json take longer than all the rest
                inputs = inputs_of(triton_http, given, binary_data=binary)
                outputs = [triton_http.InferRequestedOutput(key, binary_data=binary) for key in expected]
                got = client.infer(name, inputs, outputs=outputs, request_id="r1")
                assert got.get_response()["id"] == "r1" and got.get_response()["model_name"] == name
                for key, value in expected.items():
                    check(f"{name} {key}", got.as_numpy(key), value)
            got = client.infer(name, inputs_of(triton_http, given), request_compression_algorithm="gzip")
            for key, value in expected.items():
                check(f"{name} {key}", got.as_numpy(key), value)
        assert {model["name"] for model in client.get_model_repository_index()} >= set(NAMES)
        assert "not allowed" in error_of(client.load_model, "mixed")
        assert "unknown model" in error_of(client.get_model_config, "none")
        client.close()


def test_triton_grpc_gives_the_numbers_of_python():
    with start() as s:
        client = triton_grpc.InferenceServerClient(f"127.0.0.1:{s.ports['gRPC']}")
        assert client.is_server_live() and client.is_server_ready()
        assert client.get_server_metadata().name == "slipway-serve"
        for name in NAMES:
            given, expected = oracle(name)
            assert client.is_model_ready(name) and not client.is_model_ready(name, "77")
            metadata = client.get_model_metadata(name)
            assert {t.name for t in metadata.inputs} == set(given) and list(metadata.versions)
            config = client.get_model_config(name).config
            of_metadata = {t.name: ("TYPE_" + t.datatype.replace("BYTES", "STRING"), list(t.shape)) for t in metadata.inputs}
            types = config.input[0].DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number
            assert {t.name: (types[t.data_type].name, list(t.dims)) for t in config.input} == of_metadata, config
            assert {t.name for t in config.output} == set(expected) and config.platform == "tensorflow_savedmodel"
            got = client.infer(name, inputs_of(triton_grpc, given), request_id="r2")
            assert got.get_response().id == "r2"
            for key, value in expected.items():
                check(f"{name} {key}", got.as_numpy(key), value)
            one = next(iter(expected))
            got = client.infer(name, inputs_of(triton_grpc, given), outputs=[triton_grpc.InferRequestedOutput(one)])
            assert [o.name for o in got.get_response().outputs] == [one]
        assert {model.name for model in client.get_model_repository_index().models} >= set(NAMES)
        client.close()


def zeros(*names):
    return {name: {"count": 0, "ns": 0} for name in names}


def test_statistics_count_what_ran():
    with start() as s:
        http = triton_http.InferenceServerClient(f"127.0.0.1:{s.ports['REST']}")
        rpc = triton_grpc.InferenceServerClient(f"127.0.0.1:{s.ports['gRPC']}")
        assert "statistics" in http.get_server_metadata()["extensions"]
        half = lambda: http.get_inference_statistics("half_plus_two_tf2", "2")["model_stats"][0]
        before = half()
        assert before["last_inference"] == 0 and before["execution_count"] == 0, before
        began = int(time.time() * 1000)
        x = {"x": np.array([1, 2], np.float32)}
        http.infer("half_plus_two_tf2", inputs_of(triton_http, x))
        rpc.infer("half_plus_two_tf2", inputs_of(triton_grpc, x))
        assert s.rest("/v1/models/half_plus_two_tf2:predict", {"instances": [1.0, 2.0, 5.0]})[0] == 200
        after = half()
        stats = after["inference_stats"]
        assert (after["name"], after["version"], after["batch_stats"]) == ("half_plus_two_tf2", "2", []), after
        assert after["last_inference"] >= began and after["inference_count"] == after["execution_count"] == 3, after
        assert stats["success"]["count"] == stats["compute_infer"]["count"] == 3, after
        assert stats["success"]["ns"] >= stats["compute_infer"]["ns"] > 0, after
        others = "fail", "queue", "compute_input", "compute_output", "cache_hit", "cache_miss"
        assert {name: stats[name] for name in others} == zeros(*others), after
        # a request that its deadline ends fails in the model
        late = inputs_of(triton_http, {"word": np.array([b"a"], dtype=object), "wait": np.array([10**10], np.int64)})
        error_of(http.infer, "batch", late, timeout=100_000)
        batch = http.get_inference_statistics("batch")["model_stats"]
        assert [v["inference_stats"]["fail"]["count"] for v in batch] == [1] and batch[0]["execution_count"] == 0, batch
        # over gRPC, the same numbers
        got = rpc.get_inference_statistics("half_plus_two_tf2", "2").model_stats[0]
        assert (got.name, got.version, got.last_inference) == ("half_plus_two_tf2", "2", after["last_inference"])
        assert got.inference_count == got.execution_count == 3 and not got.batch_stats
        for name in stats:
            part = getattr(got.inference_stats, name)
            assert {"count": part.count, "ns": part.ns} == stats[name], name
        # all versions of all models
        names = {v["name"] for v in http.get_inference_statistics()["model_stats"]}
        assert names == {v.name for v in rpc.get_inference_statistics().model_stats} and names >= set(NAMES)
        for client in http, rpc:
            assert "unknown model: 'none'" in error_of(client.get_inference_statistics, "none")
            assert "version 77" in error_of(client.get_inference_statistics, "lookup", "77")
        http.close()
        rpc.close()


def test_statistics_of_batches():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "batching.config"
        path.write_text("max_batch_size { value: 8 } batch_timeout_micros { value: 1000 } allowed_batch_sizes: 4 allowed_batch_sizes: 8")
        with start("--enable_batching", f"--batching_parameters_file={path}") as s:
            http = triton_http.InferenceServerClient(f"127.0.0.1:{s.ports['REST']}")
            words = {"word": np.array([b"a", b"b", b"c"], dtype=object), "wait": np.zeros(3, np.int64)}
            http.infer("batch", inputs_of(triton_http, words))
            got = http.get_inference_statistics("batch")["model_stats"][0]
            stats = got["inference_stats"]
            assert got["inference_count"] == 3 and got["execution_count"] == 1, got
            assert stats["queue"]["count"] == stats["success"]["count"] == 1 and stats["queue"]["ns"] > 0, got
            assert got["batch_stats"] == [{"batch_size": 4, **zeros("compute_input", "compute_output"),
                                           "compute_infer": stats["compute_infer"]}], got
            rpc = triton_grpc.InferenceServerClient(f"127.0.0.1:{s.ports['gRPC']}")
            batches = rpc.get_inference_statistics("batch").model_stats[0].batch_stats
            assert [(b.batch_size, b.compute_infer.count) for b in batches] == [(4, 1)], batches
            http.close()
            rpc.close()


def test_reflection_tells_the_fields_of_triton():
    with start() as s, grpc.insecure_channel(f"127.0.0.1:{s.ports['gRPC']}") as channel:
        symbol = b"inference.GRPCInferenceService"
        request = b"\x22" + bytes([len(symbol)]) + symbol  # file_containing_symbol
        ask = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        answer = next(iter(ask(iter([request]))))
        # behind the request stands field 4, whose content has the form of a FileDescriptorSet
        rest = answer[answer.index(request) + len(request):]
        assert rest[0] == 0x22
        size = next(i for i, byte in enumerate(rest[1:], 1) if byte < 0x80)
        pool = descriptor_pool.DescriptorPool()
        for file in reversed(descriptor_pb2.FileDescriptorSet.FromString(rest[size + 1:]).file):
            pool.Add(file)
        ours = pool.FindServiceByName("inference.GRPCInferenceService")
        theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
        checked = set()

        def compare(mine, original):
            if mine.full_name in checked:
                return
            checked.add(mine.full_name)
            for field in mine.fields:
                same = original.fields_by_number[field.number]
                assert (field.name, field.type) == (same.name, same.type), (mine.full_name, field.name)
                if field.message_type:
                    compare(field.message_type, same.message_type)

        for method in ours.methods:
            original = theirs.methods_by_name[method.name]
            compare(method.input_type, original.input_type)
            compare(method.output_type, original.output_type)
        assert "inference.InferBatchStatistics" in checked, checked


def test_triton_stream():
    with start() as s:
        client = triton_grpc.InferenceServerClient(f"127.0.0.1:{s.ports['gRPC']}")
        answers = []
        client.start_stream(lambda result, error: answers.append((result, error)))
        for i in range(20):
            client.async_stream_infer("half_plus_two_tf2", inputs_of(triton_grpc, {"x": np.array([i], np.float32)}), request_id=str(i))
        client.async_stream_infer("none", inputs_of(triton_grpc, {"x": np.array([1], np.float32)}), request_id="bad")
        server.eventually(lambda: len(answers) == 21)
        client.stop_stream()
        assert [r.as_numpy("y")[0] for r, _ in answers[:20]] == [i / 2 + 3 for i in range(20)]
        assert "unknown model" in str(answers[20][1]), answers[20]
        client.close()


def test_json_by_hand():
    with start() as s:
        def infer(name, body, **headers):
            status, text = s.rest(f"/v2/models/{name}/infer", body, headers=headers)
            return status, json.loads(text)

        x = {"name": "x", "shape": [2, 2], "datatype": "FP32"}
        assert infer("half_plus_two_tf2", {"inputs": [{**x, "data": [[1, 2], [3, 4]]}]}) == (200, {
            "model_name": "half_plus_two_tf2", "model_version": "2", "outputs": [
                {"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [3.5, 4.0, 4.5, 5.0]}]})
        assert infer("half_plus_two_tf2/versions/2", {"inputs": [{"data": [1, 2, 3, 4], **x}]})[1]["outputs"][0]["data"] == [
            3.5, 4.0, 4.5, 5.0]
        words = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a", "ü"]}
        assert infer("mixed", {"parameters": {"signature_name": "echo"}, "inputs": [words]})[1]["outputs"][0]["data"] == ["a", "ü"]
        raw = struct.pack("<3f", 1, 2, 3)
        connection = s.connect()
        connection.request("POST", "/v2/models/half_plus_two_tf2/infer", raw, {"Inference-Header-Content-Length": "0"})
        answer = connection.getresponse()
        body = answer.read()
        assert body[int(answer.getheader("Inference-Header-Content-Length")):] == struct.pack("<3f", 3.5, 4, 4.5)
        connection.close()
        sentence = b"alpha"
        connection = s.connect()
        connection.request("POST", "/v2/models/lookup/infer", sentence, {"Inference-Header-Content-Length": "0"})
        answer = connection.getresponse()
        body = answer.read()
        head = int(answer.getheader("Inference-Header-Content-Length"))
        assert answer.getheader("Content-Type") == "application/octet-stream" and body[head:] == struct.pack("<q", 0)
        connection.close()
        for body, text in [
            ("", "failed to parse"), ("[]", "expected an object"), ({}, "'inputs' is missing"), ({"inputs": 3}, "must be a list"),
            ("[" * 50000, "failed to parse"), ('{"inputs":' + "[" * 50000, "failed to parse"),
            ({"inputs": [{**x, "data": [1, 2, 3]}]}, "3 values for shape [2,2]"),
            ({"inputs": [{**x, "data": [[1, 2], [3]]}]}, "unexpected size"),
            ({"inputs": [{**x, "data": ["a", "b", "c", "d"]}]}, "not of expected type"),
            ({"inputs": [{**x}]}, "has no 'data'"),
            ({"inputs": [{**x, "shape": [2**62, 2**62], "data": [1]}]}, "values for shape"),
            ({"inputs": [{**x, "shape": [-1, 2], "data": [1]}]}, "whole number from 0 up"),
            ({"inputs": [{**x, "datatype": "FP7", "data": [1]}]}, "unknown datatype"),
            ({"inputs": [{**x, "datatype": "FP16", "data": [1] * 4}]}, "no form in JSON"),
            ({"inputs": [{**x, "datatype": "INT64", "data": [1] * 4}]}, "data-type is 'INT64', but model"),
            ({"inputs": [{**x, "datatype": "INT8", "data": [1, 2, 3, 400]}]}, "not of expected type"),
            ({"inputs": [{**x, "name": "y", "data": [1] * 4}]}, "unexpected inference input 'y'"),
            ({"inputs": []}, "expected 1 inputs but got 0"),
            ({"inputs": [{**x, "data": [1] * 4}], "outputs": [{"name": "z"}]}, "unexpected inference output 'z'"),
            ({"inputs": [{**x, "parameters": {"binary_data_size": 99}}]}, "invalid binary_data_size"),
            ({"inputs": [{**x, "data": [1] * 4}], "parameters": {"signature_name": "no"}}, "has no signature 'no'"),
        ]:
            status, answer = infer("half_plus_two_tf2", body)
            assert status == 400 and text in answer["error"], (body if len(str(body)) < 300 else "long", status, answer)
        assert infer("none", {"inputs": []})[0] == 404
        assert s.rest("/v2/models/none/ready")[0] == 404 and s.rest("/v2/nothing")[0] == 404
        assert s.rest("/v2/models/half_plus_two_tf2/versions/x")[0] == 400
        assert json.loads(s.rest("/v2/health/ready")[1]) == {"ready": True, "live": True}
        metrics = s.rest("/metrics")[1]
        assert 'request_latency_count{model_name="lookup",API="infer",entrypoint="REST"} 1' in metrics


def test_errors_over_grpc():
    with start() as s:
        client = triton_grpc.InferenceServerClient(f"127.0.0.1:{s.ports['gRPC']}")
        x = inputs_of(triton_grpc, {"x": np.array([1], np.float32)})
        assert "NOT_FOUND" in error_of(client.infer, "none", x)
        assert "unexpected inference output" in error_of(client.infer, "half_plus_two_tf2", x,
                                                         outputs=[triton_grpc.InferRequestedOutput("z")])
        x[0].set_shape([2])
        assert "unexpected total byte size 4" in error_of(client.infer, "half_plus_two_tf2", x)
        x[0].set_shape([2**62])
        assert "unexpected total byte size" in error_of(client.infer, "half_plus_two_tf2", x)
        words = inputs_of(triton_grpc, {"word": np.array([b"alpha"], dtype=object)})
        words[0]._raw_content = b"\xff\xff\xff\xff"
        assert "incomplete string data" in error_of(client.infer, "lookup", words)
        # a batch that waits too long for its answer
        many = inputs_of(triton_grpc, {"word": np.array([b"a"], dtype=object), "wait": np.array([10**10], np.int64)})
        assert "DEADLINE_EXCEEDED" in error_of(client.infer, "batch", many, timeout=300_000)
        client.close()


server.run(globals())
