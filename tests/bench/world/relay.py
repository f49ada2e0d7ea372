"""A line with a round-trip time: what goes through arrives later by half of it, each way."""
import queue, socket, threading, time


class Relay:
    def __init__(self, port, round_trip):
        self.port_behind, self.delay = port, round_trip / 2
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.port_behind))
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, target in ((near, far), (far, near)):
                under_way = queue.Queue()
                for work in (self.take, self.give):
                    threading.Thread(target=work, args=(source, target, under_way), daemon=True).start()

    def take(self, source, _, under_way):
        octets = b"any"
        while octets:
            try:
                octets = source.recv(1 << 18)
            except OSError:
                octets = b""
            under_way.put((time.monotonic() + self.delay, octets))

    def give(self, _, target, under_way):
        while True:
            due, octets = under_way.get()
            time.sleep(max(0, due - time.monotonic()))
            try:
                if not octets:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(octets)
            except OSError:
                return

    def stop(self):
        self.listener.close()
