"""Payloads of random bytes and their torrents, kept between runs."""

import dataclasses
import hashlib
import os
from pathlib import Path

import lab


@dataclasses.dataclass(frozen=True)
class Content:
    """A file or a folder named `path.name` in `path.parent`, and its torrent."""

    path: Path
    torrent: Path
    size: int

    def is_copied_to(self, folder):
        copy = folder / self.path.name
        return copy.exists() and lab.same(self.path, copy)


def make(folder, name, sizes, piece_bytes, announce):
    """A torrent of one file of `sizes[0]` bytes, or of a folder of files."""
    path, torrent = folder / name, folder / f"{name}.torrent"
    content = Content(path, torrent, sum(sizes))
    if torrent.exists():
        return content
    files = [path] if len(sizes) == 1 else [path / f"{number:05}.bin" for number in range(len(sizes))]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    pieces, rest = [], b""
    for file, size in zip(files, sizes):
        with open(file, "wb") as out:
            while size:
                data = os.urandom(min(size, 1 << 20))
                out.write(data)
                size -= len(data)
                rest += data
                while len(rest) >= piece_bytes:
                    pieces.append(hashlib.sha1(rest[:piece_bytes]).digest())
                    rest = rest[piece_bytes:]
    if rest:
        pieces.append(hashlib.sha1(rest).digest())
    info = {"name": name, "piece length": piece_bytes, "pieces": b"".join(pieces)}
    if len(sizes) == 1:
        info["length"] = sizes[0]
    else:
        info["files"] = [{"length": size, "path": [file.name]} for file, size in zip(files, sizes)]
    torrent.write_bytes(lab.bencode({"announce": announce, "info": info}))
    return content


def one_file(folder, mib, announce, piece_kib=1024):
    return make(folder, f"one-{mib}-{piece_kib}", [mib << 20], piece_kib << 10, announce)


def many_files(folder, count, kib, announce, piece_kib=256):
    return make(folder, f"many-{count}-{kib}", [kib << 10] * count, piece_kib << 10, announce)
