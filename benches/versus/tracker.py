"""A tracker that always names the same peers, for clients that cannot be told of one. Arguments: IP PORT PEER_IP..."""

import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lab import bencode

ADDRESS, PORT, PEERS = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
PEER_PORT = 6881
COMPACT = b"".join(socket.inet_aton(peer) + PEER_PORT.to_bytes(2, "big") for peer in PEERS)
REPLY = bencode({"interval": 1800, "peers": COMPACT})


class Announce(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(REPLY)))
        self.end_headers()
        self.wfile.write(REPLY)


ThreadingHTTPServer((ADDRESS, PORT), Announce).serve_forever()
