"""A real SMTP server for the tests: it speaks the protocol on a socket and keeps what it is given."""

import socketserver
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from threading import Thread


@dataclass
class Mailbox:
    """What arrived. ``refuse``: the code with which the next mails are refused; 0: they are taken."""

    port: int = 0
    refuse: int = 0
    mails: list[EmailMessage] = field(default_factory=list)


class Conversation(socketserver.StreamRequestHandler):
    """One connection; what it takes goes into the mailbox ``box`` of its server."""

    def handle(self) -> None:
        """Speak the protocol until the client leaves."""
        box: Mailbox = self.server.box  # type: ignore[attr-defined]
        self._say("220 here")
        while line := self.rfile.readline():
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                self._say("354 go on")
                self._take(box)
            elif verb == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _take(self, box: Mailbox) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        if box.refuse:
            self._say(f"{box.refuse} refused")
            return
        found = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(found, EmailMessage)
        box.mails.append(found)
        self._say("250 taken")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


def start() -> tuple[socketserver.ThreadingTCPServer, Mailbox]:
    """Start it on a free port of the loopback address; the caller shuts it down."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation)
    server.daemon_threads = True
    server.box = Mailbox(server.server_address[1])  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    return server, server.box  # type: ignore[attr-defined]
