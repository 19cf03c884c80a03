"""A tracker that knows one peer: for clients that cannot be told of one. Arguments: IP PORT PEER_PORT."""

import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lab import bencode

ADDRESS, PORT, PEER_PORT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
REPLY = bencode({"interval": 1800, "peers": socket.inet_aton(ADDRESS) + PEER_PORT.to_bytes(2, "big")})


class Announce(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(REPLY)))
        self.end_headers()
        self.wfile.write(REPLY)


ThreadingHTTPServer((ADDRESS, PORT), Announce).serve_forever()
