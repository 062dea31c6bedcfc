# SPDX-License-Identifier: Apache-2.0
"""Container images made by hand, without a registry: an OCI layout in a tar file, from a few files.
Used by cluster.py and by tests that bring a program of their own."""

import gzip
import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
FOLDERS = ("bin", "dev", "etc", "proc", "run", "sys", "tmp", "usr", "var")


def _entry(name, kind, mode):
    entry = tarfile.TarInfo(name.strip("/"))
    entry.type, entry.mode = kind, mode
    return entry


def _layer(files, links):
    """A tar of the files (path in the image -> path here, or bytes) and the symbolic links."""
    made, folders = io.BytesIO(), set(FOLDERS)
    for name in (*files, *links):
        folders.update(str(p) for p in Path(name.strip("/")).parents if str(p) != ".")
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(folders):
            tar.addfile(_entry(name, tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755))
        for name, content in sorted(files.items()):
            data = content if isinstance(content, bytes) else Path(content).read_bytes()
            entry = _entry(name, tarfile.REGTYPE, 0o755)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for name, target in sorted(links.items()):
            entry = _entry(name, tarfile.SYMTYPE, 0o777)
            entry.linkname = target
            tar.addfile(entry)
    return made.getvalue()


def write_image(path, name, files, links=None, command=(), env=(), compress=False):
    """Writes the image `name` (with tag) as a tar that `ctr images import` and `podman load` read;
    the same content always gives the same bytes."""
    machine = {"architecture": MACHINES[platform.machine()], "os": "linux"}
    layer, blobs = _layer(files, links or {}), {}

    def blob(kind, data):
        content = data if isinstance(data, bytes) else json.dumps(data, sort_keys=True).encode()
        digest = hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        media = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content)}

    if compress:
        packed = blob("layer.v1.tar+gzip", gzip.compress(layer, mtime=0))
    else:
        packed = blob("layer.v1.tar", layer)
    config = {
        **machine,
        "config": {"Cmd": list(command), "Env": ["PATH=/bin:/usr/bin", *env]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("config.v1+json", config),
        "layers": [packed],
    }
    listed = {
        **blob("manifest.v1+json", manifest),
        "platform": machine,
        "annotations": {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name,
        },
    }
    index = {"schemaVersion": 2, "manifests": [listed]}
    with tarfile.open(path, "w") as tar:
        parts = {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": json.dumps(index, sort_keys=True).encode(),
            **{f"blobs/sha256/{digest}": content for digest, content in sorted(blobs.items())},
        }
        for part, content in parts.items():
            entry = _entry(part, tarfile.REGTYPE, 0o644)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def busybox():
    """Files and links of an image in which every applet of busybox-static is a command."""
    program = shutil.which("busybox")
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    links = {f"bin/{applet}": "busybox" for applet in listed.stdout.split() if applet != "busybox"}
    return {"bin/busybox": Path(program)}, links
