"""Small answers that become 200 MiB of zeros when they are unpacked, one for each encoding that HTTP clients know.

Pieces that are packed once and strung together, because packing 200 MiB at every start of the tests takes seconds.
"""

import gzip
import zlib

MIB = 1024 * 1024
UNPACKED_MIB = 200
_UNPACKED = UNPACKED_MIB * MIB
_ZSTD_BLOCK = 128 * 1024
# made once by Brotli's own encoder (quality 9, window 22) from the same zeros: no Python package here packs it
_BROTLI = (
    "cbffff3f002400e2b14072effff8ffff078004401c1680eefd1fffffff00900088c302d0bdffe3ffff1f001200715800baf77ffcffff034002200e0b"
    "40f7fe8fffff7f004800c46101e8defff1ffff0f000980382c00ddfb3ffeffff012001108705a07bffc7ffff3f002400e2b00074effff8ffff078004"
    "401c1680eefd1fffffff00900088c302d0bdffe3ffff1f001200715800baf77ffcffff034002200e0b40f7fe8fffff7f004800c46101e8defff1ffff"
    "0f000980382c00ddfb3ffeffff012001108705a07bffc7ffff3f002400e2b00074effff8ffff078004401c1680eefd1fffffff00900088c302d0bdff"
    "e3ffff1f001200715800baf77ffcffff034002200e0b40f7fe8fffff7f004800c46101e8defff1ffff0f000980382c00ddfb3ffeffff012001108705"
    "a07bff97ffff7f002400e2b00074efff00"
)


def make_gzip() -> bytes:
    """Return a file of 200 members of 1 MiB."""
    return gzip.compress(bytes(MIB)) * UNPACKED_MIB


def make_deflate() -> bytes:
    """Return a zlib stream: blocks that know nothing of each other, an empty last one, and the sum of so many zeros."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\x9c" + block * UNPACKED_MIB + b"\x03\x00" + ((_UNPACKED % 65521) << 16 | 1).to_bytes(4, "big")


def make_zstd() -> bytes:
    """Return a frame (no size, no sum, a window of one block) whose blocks each say: this byte, 128 KiB of it."""
    blocks = _UNPACKED // _ZSTD_BLOCK
    heads = [_ZSTD_BLOCK << 3 | 1 << 1 | (number == blocks - 1) for number in range(blocks)]
    return b"\x28\xb5\x2f\xfd\x00\x38" + b"".join(head.to_bytes(3, "little") + b"\x00" for head in heads)


def make_brotli() -> bytes:
    return bytes.fromhex(_BROTLI)
