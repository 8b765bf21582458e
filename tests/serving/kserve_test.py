"""The Open Inference Protocol, asked by the unmodified kserve clients, over REST and gRPC.

Not in the process of oip_test.py: both packages bring the same protobuf messages.
"""

import asyncio
import json
import tempfile

import server

server.skip_without_tensorflow()
server.continue_in("oip")
import httpx
import kserve
from oracle import NAMES, check, oracle, start


def test_kserve_clients():
    async def ask(s):
        rest = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2"))
        base = f"http://127.0.0.1:{s.ports['REST']}"
        assert await rest.is_server_live(base) and await rest.is_server_ready(base)
        remote = kserve.InferenceGRPCClient(url=f"127.0.0.1:{s.ports['gRPC']}")
        assert await remote.is_server_live() and await remote.is_model_ready("mixed")
        for name in NAMES:
            given, expected = oracle(name)
            assert await rest.is_model_ready(base, name)
            for binary in (True, False):
                if name == "resnet50" and not binary:
                    continue
                inputs = [kserve.InferInput(key, list(value.shape), kserve.protocol.infer_type.from_np_dtype(value.dtype)) for key, value in given.items()]
                for i, value in zip(inputs, given.values()):
                    i.set_data_from_numpy(value, binary_data=binary)
                request = kserve.InferRequest(model_name=name, infer_inputs=inputs)
                got = await rest.infer(base, request, model_name=name)
                for output in got.outputs:
                    check(f"{name} {output.name}", output.as_numpy(), expected[output.name])
                if not binary:  # and over gRPC, with typed contents
                    got = await remote.infer(kserve.InferRequest(model_name=name, infer_inputs=inputs))
                    for output in got.outputs:
                        check(f"{name} {output.name}", output.as_numpy(), expected[output.name])
        await rest.close()
        await remote.close()

    with start() as s:
        asyncio.run(ask(s))


def test_kserve_v1_client():
    async def ask(s):
        rest = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v1"))
        base = f"http://127.0.0.1:{s.ports['REST']}"
        assert await rest.is_server_live(base)
        assert await rest.is_model_ready(base, "half_plus_two_tf2") is True
        got = await rest.infer(base, {"instances": [1.0, 2.0, 5.0]}, model_name="half_plus_two_tf2")
        assert got == {"predictions": [3.5, 4.0, 5.5]}, got
        try:
            await rest.is_model_ready(base, "none")
            raise AssertionError("a model that is not there is ready")
        except httpx.HTTPStatusError as error:
            assert error.response.status_code == 404 and "Model with name none does not exist." in str(error), error
        await rest.close()

    with start("--rest_api_kserve_v1") as s:
        asyncio.run(ask(s))
        assert set(json.loads(s.rest("/v1/models")[1])["models"]) >= set(NAMES)
        # versions and metadata stay TensorFlow Serving's
        assert "model_version_status" in s.rest("/v1/models/half_plus_two_tf2/versions/2")[1]
        assert "signature_def" in s.rest("/v1/models/half_plus_two_tf2/metadata")[1]
    with tempfile.TemporaryDirectory() as empty:
        with server.Server("--rest_api_kserve_v1", "--model_name=m", f"--model_base_path={empty}", wait=False) as s:
            s.wait_for("listening", protocol="REST")
            status, text = s.rest("/v1/models/m")
            assert status == 503 and "not ready" in text, (status, text)


server.run(globals())
