"""Inside the sandbox: does what sandbox.py asks for over the socket that is standard input.

A request and a reply are a line of JSON each. A reply may carry a socket: it belongs to the
network namespace it was made in, so that whoever has it talks to the service as a local peer.
"""

import json
import os
import socket
import subprocess


def run(argv, within):
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=within, check=False)
    except subprocess.TimeoutExpired:
        return {"status": None, "stdout": "", "stderr": f"not done within {within} s"}
    return {"status": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o644)
    return {}


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return {"text": file.read()}


def main():
    channel = socket.socket(fileno=os.dup(0))
    requests = channel.makefile("r", encoding="utf-8")
    channel.sendall(b"{}\n")
    for line in requests:
        request = json.loads(line)
        verb = request.pop("verb")
        if verb == "socket":
            with socket.socket() as made:
                socket.send_fds(channel, [b"{}\n"], [made.fileno()])
            continue
        try:
            reply = {"run": run, "write": write, "read": read}[verb](**request)
        except OSError as error:
            reply = {"error": str(error)}
        channel.sendall(json.dumps(reply).encode() + b"\n")


main()
