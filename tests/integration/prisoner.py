# SPDX-License-Identifier: Apache-2.0
"""What a container tries on its own socket: run inside, `python3 prisoner.py CASES`, where CASES
is JSON, a list of [method, parameters]. Prints what came back, as JSON; $SELF stands for its own
thread and $OTHER for another process of the container. Imports nothing of ours."""

import json
import os
import socket
import subprocess
import sys
import threading

FOLDER = "/run/takt"


def replace(value, words):
    if isinstance(value, dict):
        return {k: replace(v, words) for k, v in value.items()}
    if isinstance(value, list):
        return [replace(v, words) for v in value]
    return words.get(value, value) if isinstance(value, str) else value


def attempt(path, method, parameters):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(60)
        s.connect(path)
        text = {"method": method, "parameters": parameters}
        if method.endswith("Watch"):
            text["more"] = True
        s.sendall(json.dumps(text).encode() + b"\0")
        got = b""
        while not got.endswith(b"\0"):
            data = s.recv(65536)
            if not data:
                return ["closed"]
            got += data
        reply = json.loads(got[:-1])
        return [reply["error"]] if "error" in reply else ["ok", reply.get("parameters")]


def main():
    other = subprocess.Popen(["sleep", "1000"])
    done, tids = threading.Event(), []
    thread = threading.Thread(target=lambda: (tids.append(threading.get_native_id()), done.wait()))
    thread.start()
    while not tids:
        pass
    words = {"$SELF": os.getpid(), "$THREAD": tids[0], "$OTHER": other.pid}
    path = os.environ["TAKT_SOCKET"]
    results = [attempt(path, m, replace(p, words)) for m, p in json.loads(sys.argv[1])]
    print(json.dumps(results), flush=True)
    other.kill()
    done.set()


main()
