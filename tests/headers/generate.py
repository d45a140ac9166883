#!/usr/bin/env python3
"""Makes damaged volumes: one file per defect, named for what is wrong, from one good volume.

usage: generate.py GOOD OTHER FOLDER

GOOD and OTHER are two volumes of different uuid and key, as `keyfence create` makes them.  FOLDER
gets NAME.img for each defect, and `list` with a line for each: name, what is expected ("ok",
"damaged_copy": accepted, and that is noted; "load" or "verify": which step refuses), the error
class and the words.  Words that end in * are a beginning.

Offsets and member names are those of the LUKS2 On-Disk Format Specification, version 1.1.
"""

import os
import sys

sys.dont_write_bytecode = True

import defects_copies  # noqa: E402, F401 (each module registers its defects)
import defects_profile  # noqa: E402, F401
import defects_token  # noqa: E402, F401
from volume import DEFECTS, Volume  # noqa: E402


def main():
    good, other, folder = sys.argv[1:]
    with open(os.path.join(folder, "list"), "w", encoding="utf-8") as out:
        for name, expected, error, words, function in DEFECTS:
            volume = Volume(good)
            function(volume, Volume(other))
            volume.write(os.path.join(folder, name + ".img"))
            out.write("\t".join((name, expected, error, words)) + "\n")


if __name__ == "__main__":
    main()
