"""A front end in Python: the two comms over a real kernel's wire, with subshells or without."""

from __future__ import annotations

import json
import queue
import time
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_client import BlockingKernelClient

__all__ = ["CommClient"]

LIMIT_S = 60


class CommClient:
    """Opens telemetry and control as the extension does, and reads what comes.

    Parameters
    ----------
    subshells
        Give each comm a subshell, as JupyterLab does where it can.
    """

    def __init__(self, client: BlockingKernelClient, *, subshells: bool) -> None:
        self._client = client
        self.client_id = uuid.uuid4().hex
        self.frames: dict[str, list[dict[str, Any]]] = {"telemetry": [], "control": []}
        self._buffers: list[bytes] = []
        self._subshells = {
            name: self._subshell() if subshells else None for name in ("telemetry", "control")
        }
        self._comms = {name: uuid.uuid4().hex for name in self._subshells}
        for name, comm in self._comms.items():
            self._send(
                "comm_open",
                name,
                {
                    "comm_id": comm,
                    "target_name": f"gpures_lab.{name}",
                    "data": {"client": self.client_id},
                },
            )

    def run(self, code: str) -> str:
        """Start a cell; returns its message id."""
        return str(self._client.execute(code))

    def wait_for_cell(self, message_id: str) -> dict[str, Any]:
        """Wait for a cell's reply."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            reply = self._client.get_shell_msg(timeout=deadline - time.monotonic())
            if reply["parent_header"].get("msg_id") == message_id:
                return dict(reply["content"])

    def ask(self, **data: Any) -> dict[str, Any]:
        """Send on control and wait for the answer."""
        request = self.send(**data)
        return self.wait(
            "control", lambda frame: frame.get("id") == request and not self._partial(frame)
        )

    def send(self, **data: Any) -> str:
        """Send on control; returns the request's id."""
        request = str(data.pop("id", uuid.uuid4().hex))
        self._buffers.clear()
        content = {"comm_id": self._comms["control"], "data": {"id": request, **data}}
        self._send("comm_msg", "control", content)
        return request

    def query(self, what: str, **data: Any) -> Any:
        """Ask a query and return its answer."""
        answer = self.ask(op="query", what=what, **data)
        assert answer["kind"] == "chunk", answer
        return json.loads(b"".join(self._buffers))

    def wait(self, comm: str, true: Any, limit_s: float = LIMIT_S) -> dict[str, Any]:
        """Return the first frame on ``comm`` that is as wanted, of those to come or unread."""
        deadline = time.monotonic() + limit_s
        seen = 0
        while True:
            for frame in self.frames[comm][seen:]:
                if true(frame):
                    return frame
            seen = len(self.frames[comm])
            self._read(deadline)

    def close(self) -> None:
        """Close both comms, and the subshells with them."""
        for name, comm in self._comms.items():
            self._send("comm_close", name, {"comm_id": comm, "data": {}})

    def _read(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"nothing wanted within {LIMIT_S} s: {self.frames}")
        try:
            message = self._client.get_iopub_msg(timeout=left)
        except queue.Empty:
            return
        if message["msg_type"] == "comm_msg":
            for name, comm in self._comms.items():
                if message["content"]["comm_id"] == comm:
                    self.frames[name].append(message["content"]["data"])
                    self._buffers += [bytes(each) for each in message["buffers"]]

    def _partial(self, frame: dict[str, Any]) -> bool:
        return bool(frame["kind"] == "chunk" and frame["part"] + 1 < frame["parts"])

    def _subshell(self) -> str:
        message = self._client.session.msg("create_subshell_request", {})
        self._client.control_channel.send(message)
        deadline = time.monotonic() + LIMIT_S
        while True:
            reply = self._client.get_control_msg(timeout=deadline - time.monotonic())
            if reply["msg_type"] == "create_subshell_reply":
                return str(reply["content"]["subshell_id"])

    def _send(self, kind: str, comm: str, content: dict[str, Any]) -> None:
        message = self._client.session.msg(kind, content)
        if self._subshells[comm] is not None:
            message["header"]["subshell_id"] = self._subshells[comm]
        self._client.shell_channel.send(message)
