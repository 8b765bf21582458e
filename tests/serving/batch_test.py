"""Requests of several clients run together, and a full queue says so at once."""

import json
import pathlib
import tempfile
import threading
import time

import server
from server import MODELS, Server

server.skip_without_tensorflow()


def start(parameters, *flags, model="batch"):
    folder = tempfile.TemporaryDirectory()
    path = pathlib.Path(folder.name) / "batching.config"
    path.write_text(parameters)
    started = Server("--enable_batching", f"--batching_parameters_file={path}", "--model_name=m",
                     f"--model_base_path={MODELS / model}", *flags)
    started.folder = folder
    return started


def ask(s, words, wait=0):
    status, text = s.rest("/v1/models/m:predict", {"inputs": {"word": words, "wait": [wait] * len(words)}})
    return status, json.loads(text)


def at_once(calls):
    """The results of all calls, each on a thread of its own."""
    results = [None] * len(calls)

    def run(i):
        results[i] = calls[i]()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def test_every_request_gets_its_own_rows():
    with start("max_batch_size { value: 16 } batch_timeout_micros { value: 50000 } num_batch_threads { value: 2 }") as s:
        requests = [[f"{i}-{j}" for j in range(1 + i % 3)] for i in range(40)]
        results = at_once([lambda r=r: ask(s, r) for r in requests])
        sizes = set()
        for request, (status, answer) in zip(requests, results):
            assert status == 200 and answer["outputs"]["word"] == request, answer
            sizes |= set(answer["outputs"]["rows"])
        assert max(sizes) > 3 and max(sizes) <= 16, sizes
        metrics = s.rest("/metrics")[1]
        assert 'slipway_serving_batched_requests_total{model_name="m"} 40\n' in metrics


def test_batches_are_padded_to_allowed_sizes():
    with start("max_batch_size { value: 8 } batch_timeout_micros { value: 20000 } allowed_batch_sizes: 4 "
               "allowed_batch_sizes: 8") as s:
        status, answer = ask(s, ["a", "b", "c"])
        assert answer["outputs"] == {"rows": [4, 4, 4], "word": ["a", "b", "c"]}, answer
        results = at_once([lambda: ask(s, ["x"]) for _ in range(20)])
        assert {row for _, a in results for row in a["outputs"]["rows"]} <= {4, 8}


def test_limits():
    with start("max_batch_size { value: 2 } max_enqueued_batches { value: 1 } num_batch_threads { value: 1 }") as s:
        status, answer = ask(s, ["a"] * 3)
        assert status == 400 and "larger than maximum input batch size 2" in answer["error"]
        status, text = s.rest("/v1/models/m:predict", {"inputs": {"word": ["a", "b"], "wait": [1]}})
        assert status == 400 and "equal 0th-dimension size" in text
        blocker = threading.Thread(target=ask, args=(s, ["a", "b"], 1_000_000))
        blocker.start()
        time.sleep(0.2)
        results = at_once([lambda: ask(s, ["x"]) for _ in range(12)])
        blocker.join()
        refused = [a for status, a in results if status == 503]
        assert len(refused) >= 1 and "queue" in refused[0]["error"], results
        assert all(status in (200, 503) for status, _ in results)
        assert ask(s, ["a"])[0] == 200


def test_a_large_request_runs_in_pieces():
    with start("max_batch_size { value: 16 } enable_large_batch_splitting { value: true } max_execution_batch_size { value: 4 } "
               "allowed_batch_sizes: 2 allowed_batch_sizes: 4 batch_timeout_micros { value: 1000 }") as s:
        words = [f"w{i}" for i in range(39)]
        status, answer = ask(s, words)
        assert status == 200 and answer["outputs"]["word"] == words, answer
        assert set(answer["outputs"]["rows"]) <= {2, 4}, answer
        results = at_once([lambda n=n: ask(s, words[:n]) for n in range(1, 25)])
        for n, (status, answer) in enumerate(results, 1):
            assert status == 200 and answer["outputs"]["word"] == words[:n], (n, answer)
        metrics = s.rest("/metrics")[1]
        assert ':tensorflow:serving:batching_session:queuing_latency_count{thread_pool_name="batch"}' in metrics
        assert "slipway_serving_queued_rows 0\n" in metrics and "slipway_serving_runs_in_flight 0\n" in metrics


def test_rows_of_different_lengths_share_a_batch():
    """Twice each number, whatever the length of the rows that ran beside it; answers have the padded length."""
    with start("max_batch_size { value: 8 } batch_timeout_micros { value: 300000 } num_batch_threads { value: 1 } "
               "pad_variable_length_inputs: true", model="half_plus_two_tf2") as s:
        rows = [[1.0], [2.0, 3.0], [4.0, 5.0, 6.0]]
        results = at_once([lambda r=r: s.rest("/v1/models/m:predict", {"instances": [r]}) for r in rows])
        longest = 0
        for row, (status, text) in zip(rows, results):
            got = json.loads(text)["predictions"][0]
            assert status == 200 and got[:len(row)] == [x / 2 + 3 for x in row], text
            assert all(x == row[0] / 2 + 3 for x in got[len(row):]), text  # padded with the first element
            longest = max(longest, len(got) - len(row))
        assert longest > 0, results
        assert 'slipway_serving_batches_total{model_name="m"} 1\n' in s.rest("/metrics")[1]


def test_a_file_needs_batching():
    with tempfile.NamedTemporaryFile() as file:
        with Server(f"--batching_parameters_file={file.name}", "--model_base_path=/x", wait=False) as s:
            assert s.process.wait(10) == 2


server.run(globals())
