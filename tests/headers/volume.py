"""A good volume taken apart, and how a defect of it is declared."""

import hashlib
import json
import os
import struct

HEADER = 4096
PROFILE = "outside keyfence's profile: "
TOKEN = "keyfence token: "
NO_COPY = "no copy of its LUKS2 header is intact (libcryptsetup: *"
NO_MAC = ("its header was changed by somebody without the volume key (the keyfence token's MAC "
          "does not match): put back a header backup")
NO_HEADER = ("there is no LUKS2 header in it: not a keyfence volume (`keyfence create` makes one)")


class Volume:
    """The header area of a volume, taken apart; `size` is the whole file's."""

    def __init__(self, path):
        with open(path, "rb") as f:
            raw = f.read(2 * 65536)
        self.size = os.stat(path).st_size
        self.header_size = struct.unpack(">Q", raw[8:16])[0]
        self.binary = [bytearray(raw[:HEADER]),
                       bytearray(raw[self.header_size:self.header_size + HEADER])]
        end = raw.index(b"\0", HEADER)
        self.json = json.loads(raw[HEADER:end])
        self.text = [None, None]  # instead of the JSON, for what json.dumps can't say
        self.repair = [True, True]

    @property
    def token(self):
        return self.json["tokens"]["0"]

    @property
    def segment(self):
        return self.json["segments"]["0"]

    @property
    def digest(self):
        return self.json["digests"]["0"]

    def area(self, i):
        text = self.text[i]
        if text is None:
            text = json.dumps(self.json, separators=(",", ":")).encode()
        size = self.header_size - HEADER
        assert len(text) <= size, len(text)
        return text + bytes(size - len(text))

    def copy_bytes(self, i):
        binary, area = bytearray(self.binary[i]), self.area(i)
        if self.repair[i]:
            binary[448:512] = bytes(64)
            binary[448:480] = hashlib.sha256(bytes(binary) + area).digest()
        return bytes(binary) + area

    def write(self, path):
        with open(path, "wb") as f:
            f.write((self.copy_bytes(0) + self.copy_bytes(1))[:self.size])
            f.truncate(self.size)

    def relayout(self, header_size):
        """The same metadata in copies of another size."""
        self.header_size = header_size
        self.json["config"]["json_size"] = str(header_size - HEADER)
        areas = int(self.segment["offset"]) - 2 * header_size
        self.json["config"]["keyslots_size"] = str(areas)
        for i in range(2):
            self.put(i, 8, ">Q", header_size)
        self.put(1, 256, ">Q", header_size)

    def put(self, i, at, form, *values):
        struct.pack_into(form, self.binary[i], at, *values)


DEFECTS = []


def defect(expected, error="-", words="-"):
    """The function below is a defect; its name, with dashes, is the file's."""
    def register(function):
        name = function.__name__.replace("_", "-")
        DEFECTS.append((name, expected, error, words, function))
        return function
    return register


def outside(words):
    return defect("load", "foreign", PROFILE + words)


def bad_token(words, error="corrupt"):
    return defect("load", error, TOKEN + words)


def keyslot(**changes):
    """A keyslot within the profile, but for the changes."""
    slot = {"type": "luks2", "key_size": 64,
            "af": {"type": "luks1", "stripes": 4000, "hash": "sha256"},
            "area": {"type": "raw", "offset": "131072", "size": "258048",
                     "encryption": "aes-xts-plain64", "key_size": 64},
            "kdf": {"type": "pbkdf2", "hash": "sha256", "iterations": 1000,
                    "salt": "A" * 43 + "="}}
    slot["area"].update(changes.pop("area", {}))
    slot["kdf"] = changes.pop("kdf", slot["kdf"])
    slot.update(changes)
    return slot


def add_keyslot(v, **changes):
    v.json["keyslots"]["0"] = keyslot(**changes)
    v.digest["keyslots"] = ["0"]


def both_texts():
    """What libcryptsetup itself finds wrong, in both copies."""
    return defect("load", "corrupt", NO_COPY)
