"""A tracker that always names the same peers, for clients that cannot be told of one. Arguments: IP PORT PEER_PORT..."""

import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lab import bencode

ADDRESS, PORT, PEER_PORTS = sys.argv[1], int(sys.argv[2]), [int(port) for port in sys.argv[3:]]
PEERS = b"".join(socket.inet_aton(ADDRESS) + port.to_bytes(2, "big") for port in PEER_PORTS)
REPLY = bencode({"interval": 1800, "peers": PEERS})


class Announce(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(REPLY)))
        self.end_headers()
        self.wfile.write(REPLY)


ThreadingHTTPServer((ADDRESS, PORT), Announce).serve_forever()
