"""Runs the code cells of a notebook through the kernel API of the Jupyter beside it, and prints what they print.

Inside a workspace: slipway exec -- python - PATH < tools/run-notebook.py, with PATH as Jupyter sees it.
"""

import json
import sys
import urllib.request
import uuid

import tornado.httpclient
import tornado.ioloop
import tornado.websocket

SERVER = "127.0.0.1:8888"
with open("/run/slipway/keys/jupyter_token", encoding="ascii") as file:
    HEADERS = {"Authorization": "token " + file.read().strip()}


def api(path, method="GET", body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"http://{SERVER}/api/{path}", data, HEADERS, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as reply:
        text = reply.read()
    return json.loads(text) if text else None


def message(code):
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": uuid.uuid4().hex, "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}


async def run_cell(socket, code):
    request = message(code)
    await socket.write_message(json.dumps(request))
    idle = replied = False
    while not (idle and replied):
        text = await socket.read_message()
        if text is None:
            sys.exit("the kernel's connection was closed")
        said = json.loads(text)
        if said["parent_header"].get("msg_id") != request["header"]["msg_id"]:
            continue
        kind, content = said["msg_type"], said["content"]
        if kind == "stream":
            sys.stdout.write(content["text"])
        elif kind in ("execute_result", "display_data"):
            print(content["data"].get("text/plain", ""))
        elif kind == "error":
            sys.exit("\n".join(content["traceback"]))
        idle = idle or (kind == "status" and content["execution_state"] == "idle")
        replied = replied or kind == "execute_reply"


async def run(path):
    notebook = api(f"contents/{path}")["content"]
    kernel = api("kernels", "POST", {"name": "python3"})["id"]
    try:
        url = tornado.httpclient.HTTPRequest(f"ws://{SERVER}/api/kernels/{kernel}/channels", headers=HEADERS)
        socket = await tornado.websocket.websocket_connect(url)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                await run_cell(socket, cell["source"])
    finally:
        api(f"kernels/{kernel}", "DELETE")


tornado.ioloop.IOLoop.current().run_sync(lambda: run(sys.argv[1]))
