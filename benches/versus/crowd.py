"""Many leeches in one thread, which throw away what they get: what a seed's work costs by the number of its peers.

    crowd.py IP[,IP...] PORT TORRENT CONNECTIONS MIB [in-order]

Each has an address of its own, which has to lead here (see `CROWD_NETWORK` in lab.py), asks for random blocks, 64 at
a time, and says `have` for each piece's worth; the program ends when `MIB` have come by all together. With `in-order`
blocks are asked for one behind the other, 512 at a time, each connection's from a place of its own: the most that
seeds can give. Connections go to the seeds in turn.
"""

import hashlib
import os
import random
import re
import selectors
import socket
import struct
import sys

IPS, PORT, TORRENT, CONNECTIONS, MIB = sys.argv[1].split(","), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
IN_ORDER = sys.argv[6:] == ["in-order"]
BLOCK, PIPELINE, ANSWER = 16384, 512 if IN_ORDER else 64, 16384 + 13

torrent = open(TORRENT, "rb").read()
start = torrent.index(b"4:info") + 6
INFO_HASH = hashlib.sha1(torrent[start:-1]).digest()
LENGTH = sum(int(length) for length in re.findall(rb"6:lengthi(\d+)e", torrent[: torrent.index(b"6:pieces")]))
PIECE = int(re.search(rb"12:piece lengthi(\d+)e", torrent)[1])
PIECES = LENGTH // PIECE
TOTAL = MIB << 20
luck = random.Random(1)
scratch = bytearray(1 << 20)
view = memoryview(scratch)


class Leech:
    def __init__(self, number):
        address = f"10.79.{number // 250}.{number % 250 + 1}"
        self.socket = socket.create_connection((IPS[number % len(IPS)], PORT), source_address=(address, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        handshake = b"\x13BitTorrent protocol" + bytes(8) + INFO_HASH + b"-CR0001-" + os.urandom(12)
        interested = struct.pack(">IB", 1, 2)
        self.socket.sendall(handshake + interested)
        # Handshake, then a bitfield, then perhaps other small messages up to the unchoke.
        self.head, self.unchoked, self.owed, self.got = b"", False, 0, 0
        self.asked = number * (PIECES // CONNECTIONS) * (PIECE // BLOCK)
        self.socket.setblocking(False)

    def ask(self, count):
        out = []
        for _ in range(count):
            piece, block = divmod(self.asked, PIECE // BLOCK)
            if not IN_ORDER:
                piece, block = luck.randrange(PIECES), luck.randrange(PIECE // BLOCK)
            out.append(struct.pack(">IBIII", 13, 6, piece % PIECES, block * BLOCK, BLOCK))
            self.asked += 1
        self.socket.setblocking(True)
        self.socket.sendall(b"".join(out))
        self.socket.setblocking(False)
        self.owed += count * ANSWER

    def have(self, piece):
        self.socket.setblocking(True)
        self.socket.sendall(struct.pack(">IBI", 5, 4, piece if IN_ORDER else luck.randrange(PIECES)))
        self.socket.setblocking(False)

    def read(self):
        """Bytes of answers that came."""
        if not self.unchoked:
            came = self.socket.recv(65536)
            if not came:
                raise SystemExit(f"the seed hung up after {self.head[:80]!r}")
            self.head += came
            if not self.greeted():
                return 0
            self.unchoked = True
            self.ask(PIPELINE)
            return 0
        taken = self.socket.recv_into(view)
        if not taken:
            raise SystemExit("the seed hung up")
        self.owed -= taken
        begun = self.got // PIECE
        self.got += taken
        for piece in range(begun, self.got // PIECE):
            self.have(piece)
        room = PIPELINE - -(-max(self.owed, 0) // ANSWER)
        if room >= PIPELINE // 2:
            self.ask(room)
        return taken

    def greeted(self):
        """Whether an unchoke has come; what comes before it is small and whole."""
        at = 68
        while len(self.head) >= at + 5:
            length, kind = struct.unpack_from(">IB", self.head, at)
            if length and kind == 1 and len(self.head) >= at + 5:
                return True
            at += 4 + length
        return False


leeches = [Leech(number) for number in range(CONNECTIONS)]
selector = selectors.EpollSelector()
for leech in leeches:
    selector.register(leech.socket, selectors.EVENT_READ, leech)
total = 0
while total < TOTAL:
    ready = selector.select(60)
    if not ready:
        raise SystemExit("nothing came for a minute")
    for key, _ in ready:
        total += key.data.read()
# Who got nothing was not part of the work.
served = sum(leech.got > 0 for leech in leeches)
if served < CONNECTIONS:
    raise SystemExit(f"only {served} of {CONNECTIONS} were served")
