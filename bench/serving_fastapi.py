"""The server that one would write otherwise: FastAPI in front of TensorFlow.

    MODEL=…/half_plus_two_tf2/1 uvicorn serving_fastapi:app --workers 2 --port 8000
"""

import os
from typing import Any

import tensorflow as tf
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = tf.saved_model.load(os.environ["MODEL"])
predict = model.signatures["serving_default"]


class Request(BaseModel):
    instances: list[Any]


@app.post("/v1/models/m:predict")
def infer(request: Request):
    outputs = predict(x=tf.constant(request.instances, tf.float32))
    return {"predictions": outputs["y"].numpy().tolist()}
