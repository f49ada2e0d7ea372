"""As little of IMAP as the benchmarks need, as fast as Python can be."""
import socket, ssl, sys


class Client:
    def __init__(self, port, user, authority=None):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if authority:
            self.socket = ssl.create_default_context(cafile=authority).wrap_socket(self.socket, server_hostname="localhost")
        self.lines = self.socket.makefile("rb")
        self.lines.readline()
        self.tags = 0
        self.command(f"LOGIN {user} pass")

    def send(self, text):
        """A command; gives its tag."""
        self.tags += 1
        text = text if isinstance(text, bytes) else text.encode()
        self.socket.sendall(f"C{self.tags} ".encode() + text + b"\r\n")
        return f"C{self.tags}"

    def command(self, text):
        return self.answer(self.send(text))

    def answer(self, tag):
        untagged = []
        while True:
            line = self.lines.readline()
            if not line:
                sys.exit("the server has closed the connection")
            if line.startswith(tag.encode() + b" "):
                if line.split(b" ")[1] != b"OK":
                    sys.exit(f"the server refuses: {line!r}")
                return untagged
            untagged.append(line)

    def folders(self):
        """Each mailbox that can be opened, as it stands in commands."""
        lines = (line for line in self.command('LIST "" *') if b"\\Noselect" not in line)
        return [line.split(b' "/" ', 1)[1].strip().decode() for line in lines]

    def drain(self, folders):
        """Everything of these folders, asked for at once and thrown away as it comes. Gives the octets."""
        tags = [self.send(text) for folder in folders
                for text in (f"EXAMINE {folder}", "UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])")]
        # From here on nothing is read by lines. The last completion may come in two reads: what stands
        # in front is the end of the read before.
        last, kept = f"\r\n{tags[-1]} OK".encode(), 256
        buffer = bytearray(kept + (1 << 20))
        room, octets = memoryview(buffer)[kept:], 0
        while True:
            length = self.socket.recv_into(room)
            if length == 0:
                sys.exit("the server has closed the connection")
            octets += length
            end = kept + length
            if buffer.find(last, max(0, end - kept), end) >= 0 and buffer[end - 2:end] == b"\r\n":
                return octets
            buffer[:kept] = buffer[end - kept:end]
