"""Tiny OCI images made by hand: what a test wants wrong is wrong on purpose."""

import gzip
import hashlib
import io
import json
import tarfile

PASSWD = "root:x:0:0:root:/root:/bin/sh\ndev:x:1000:1000::/home/dev:/bin/bash\n"


def entry(path, data=b"", mode=0o644, kind=tarfile.REGTYPE, **more):
    """(header, content) of one path; text is taken as UTF-8."""
    data = data.encode() if isinstance(data, str) else data
    info = tarfile.TarInfo(path)
    info.mode, info.type, info.size = mode, kind, len(data) if kind == tarfile.REGTYPE else 0
    for name, value in more.items():
        setattr(info, name, value)
    return info, data


def folder(path, mode=0o755):
    return entry(path, mode=mode, kind=tarfile.DIRTYPE)


def layer(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return out.getvalue()


def write(where, layers, config=None, history=None, manifest=None):
    """Writes an image of these layers (tar bytes) as an OCI layout; returns its digest."""
    blobs = where / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}

    packed = [blob(gzip.compress(data, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip") for data in layers]
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"User": "1000:1000", "Env": ["PATH=/usr/bin"], **(config or {})},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest() for data in layers]},
    }
    if history:
        document["history"] = history
    config_blob = blob(json.dumps(document).encode(), "application/vnd.oci.image.config.v1+json")
    body = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config_blob, "layers": packed}
    body.update(manifest or {})
    top = blob(json.dumps(body).encode(), body["mediaType"])
    (where / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (where / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    return top["digest"]


def clean(*more):
    """A layer that offends no check of the tree, and `more` entries."""
    return layer(folder("etc"), entry("etc/passwd", PASSWD), entry("etc/shadow", "root:*:1::::::\ndev:!:1::::::\n", 0o640), *more)
