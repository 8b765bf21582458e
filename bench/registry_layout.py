"""Writes an OCI layout with one layer per given size of bytes that do not compress, in little memory.

    registry_layout.py FOLDER MEGABYTES...
"""

import hashlib
import json
import os
import pathlib
import sys
import tarfile
import zlib


class Noise:
    """A file of random bytes, of which tarfile reads."""

    def __init__(self, size):
        self.left = size

    def read(self, most=-1):
        count = self.left if most < 0 else min(most, self.left)
        self.left -= count
        return os.urandom(count)


class Layer:
    """Stored as gzip without compression; hashed on both sides."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.plain, self.packed = hashlib.sha256(), hashlib.sha256()
        self.gzip = zlib.compressobj(0, zlib.DEFLATED, 31)
        self.size = 0

    def write(self, data):
        self.plain.update(data)
        self.put(self.gzip.compress(data))
        return len(data)

    def put(self, data):
        self.packed.update(data)
        self.size += len(data)
        self.file.write(data)

    def close(self):
        self.put(self.gzip.flush())
        self.file.close()


def main():
    folder = pathlib.Path(sys.argv[1])
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(document):
        data = json.dumps(document).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    layers, ids = [], []
    for number, megabytes in enumerate(sys.argv[2:]):
        layer = Layer(folder / "layer")
        with tarfile.open(fileobj=layer, mode="w|") as tar:
            info = tarfile.TarInfo(f"file{number}")
            info.size = int(megabytes) * 1_000_000
            tar.addfile(info, Noise(info.size))
        layer.close()
        (folder / "layer").rename(blobs / layer.packed.hexdigest())
        ids.append("sha256:" + layer.plain.hexdigest())
        layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + layer.packed.hexdigest(),
                       "size": layer.size})
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}}
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "layers": layers,
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(config)}}
    entry = {"mediaType": kind, **blob(manifest), "annotations": {"org.opencontainers.image.ref.name": "made"}}
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


if __name__ == "__main__":
    main()
