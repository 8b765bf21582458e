"""Asks a model image with an unmodified client of PyPI: ask.py CLIENT REST_PORT GRPC_PORT MODEL ORACLE.npz

Runs in the environments that tests/serving/fetch_clients.py makes: `tensorflow` has tensorflow-serving-api, `oip`
tritonclient and kserve, which bring the same protobuf messages and so need a process each. The numbers must be those that TensorFlow in Python computed, to the bit.
"""

import asyncio
import sys

import numpy as np

CLIENT, REST, GRPC, MODEL, ORACLE = sys.argv[1:]
DATA = np.load(ORACLE)
GIVEN = {key[3:]: DATA[key] for key in DATA if key.startswith("in:")}
EXPECTED = {key[4:]: DATA[key] for key in DATA if key.startswith("out:")}


def check(who, name, got):
    np.testing.assert_array_equal(np.asarray(got).reshape(EXPECTED[name].shape), EXPECTED[name], f"{who}: {name}")


def tensorflow_serving_api():
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc
    with grpc.insecure_channel(f"127.0.0.1:{GRPC}") as channel:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = MODEL
        for name, value in GIVEN.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
        assert set(answer.outputs) == set(EXPECTED)
        for name, value in answer.outputs.items():
            check("tensorflow-serving-api", name, tf.make_ndarray(value))
        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name = MODEL
        said = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(status, timeout=60)
        assert [(v.version, v.state) for v in said.model_version_status] == [(1, 30)], said


def tritonclients():
    import tritonclient.grpc
    import tritonclient.http
    from tritonclient.utils import np_to_triton_dtype
    for module, port in ((tritonclient.http, REST), (tritonclient.grpc, GRPC)):
        client = module.InferenceServerClient(f"127.0.0.1:{port}")
        assert client.is_server_ready() and client.is_model_ready(MODEL)
        inputs = []
        for name, value in GIVEN.items():
            inputs.append(module.InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype)))
            inputs[-1].set_data_from_numpy(value)
        answer = client.infer(MODEL, inputs)
        for name in EXPECTED:
            check(module.__name__, name, answer.as_numpy(name))
        client.close()


async def kserve_clients():
    import kserve
    inputs = []
    for name, value in GIVEN.items():
        inputs.append(kserve.InferInput(name, list(value.shape), kserve.protocol.infer_type.from_np_dtype(value.dtype)))
        inputs[-1].set_data_from_numpy(value, binary_data=False)
    request = kserve.InferRequest(model_name=MODEL, infer_inputs=inputs)
    rest = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2"))
    remote = kserve.InferenceGRPCClient(url=f"127.0.0.1:{GRPC}")
    for who, answer in (("kserve REST", await rest.infer(f"http://127.0.0.1:{REST}", request, model_name=MODEL)),
                        ("kserve gRPC", await remote.infer(request))):
        assert {output.name for output in answer.outputs} == set(EXPECTED)
        for output in answer.outputs:
            check(who, output.name, output.as_numpy())
    await rest.close()
    await remote.close()


if CLIENT == "tensorflow-serving-api":
    tensorflow_serving_api()
elif CLIENT == "tritonclient":
    tritonclients()
else:
    asyncio.run(kserve_clients())
