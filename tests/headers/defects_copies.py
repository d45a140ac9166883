"""Nothing wrong, one copy damaged, or no copy of a LUKS2 header left."""

from volume import HEADER, NO_COPY, NO_HEADER, PROFILE, add_keyslot, both_texts, defect, keyslot

# ---- nothing wrong, or one copy only --------------------------------------------------------------

@defect("ok")
def nothing_is_wrong(v, other):
    pass


@defect("ok")
def with_a_keyslot(v, other):
    add_keyslot(v)


@defect("ok")
def with_a_token_of_another_kind(v, other):
    v.json["tokens"]["1"] = {"type": "somebody-else", "keyslots": [], "x": [1, 2]}


@defect("ok")
def with_activation_flags(v, other):
    v.json["config"]["flags"] = ["allow-discards"]


@defect("damaged_copy")
def first_copy_bad_checksum(v, other):
    v.repair[0] = False
    v.binary[0][450] ^= 1


@defect("damaged_copy")
def second_copy_bad_checksum(v, other):
    v.repair[1] = False
    v.binary[1][450] ^= 1


@defect("damaged_copy")
def first_copy_foreign_magic(v, other):
    v.binary[0][0:6] = b"LUKS\0\0"


@defect("damaged_copy")
def second_copy_foreign_magic(v, other):
    v.binary[1][0:6] = b"LUKS\xba\xbe"


@defect("damaged_copy")
def first_copy_zeroed(v, other):
    v.repair[0] = False
    v.binary[0][:] = bytes(HEADER)
    v.text[0] = b""


@defect("damaged_copy")
def second_copy_zeroed(v, other):
    v.repair[1] = False
    v.binary[1][:] = bytes(HEADER)
    v.text[1] = b""


@defect("damaged_copy")
def first_copy_size_absurd(v, other):
    v.put(0, 8, ">Q", 2**64 - 1)


@defect("damaged_copy")
def first_copy_size_another_valid_one(v, other):
    v.repair[0] = False
    v.put(0, 8, ">Q", 16384)


@defect("damaged_copy")
def second_copy_size_absurd(v, other):
    v.put(1, 8, ">Q", 2**63)


@defect("damaged_copy")
def second_copy_stale(v, other):
    v.text[1] = v.area(1).rstrip(b"\0").replace(b"old", b"odd")
    v.put(1, 16, ">Q", 1)


@defect("damaged_copy")
def first_copy_version_3(v, other):
    v.put(0, 6, ">H", 3)


@defect("damaged_copy")
def second_copy_at_another_offset(v, other):
    v.put(1, 256, ">Q", 131072)


@defect("damaged_copy")
def first_copy_unknown_checksum_algorithm(v, other):
    v.binary[0][72:104] = b"crc32".ljust(32, b"\0")


@defect("damaged_copy")
def first_copy_json_cut(v, other):
    v.text[0] = v.area(0).rstrip(b"\0")[:-1]


# ---- not a header, or no copy left ----------------------------------------------------------------

@defect("load", "foreign", NO_HEADER)
def empty_file(v, other):
    v.size = 0


@defect("load", "foreign", NO_HEADER)
def one_byte(v, other):
    v.size = 1


def cut(at):
    return defect("load", "corrupt",
                  f"it ends at byte {at}, inside its LUKS2 header: it was cut off")


@cut(6)
def cut_behind_the_magic(v, other):
    v.size = 6


@cut(511)
def cut_in_the_binary_header(v, other):
    v.size = 511


@cut(5000)
def cut_in_the_first_json(v, other):
    v.size = 5000


@cut(65536)
def cut_between_the_copies(v, other):
    v.size = 65536


@cut(131071)
def cut_at_the_last_byte_of_the_second_copy(v, other):
    v.size = 131071


@defect("load", "corrupt", "it ends at byte 131072, its data start at byte 1048576: it was cut off")
def cut_before_the_keyslots(v, other):
    v.size = 131072


@defect("load", "corrupt",
        "it ends at byte 1048576, its data start at byte 1048576: it was cut off")
def cut_before_the_data(v, other):
    v.size = 1048576


@defect("load", "foreign", NO_HEADER)
def all_zeroes(v, other):
    both_copies_zeroed(v)


def both_copies_zeroed(v):
    v.repair = [False, False]
    for i in range(2):
        v.binary[i][:] = bytes(HEADER)
        v.text[i] = b""


@defect("load", "foreign", NO_HEADER)
def another_file_system(v, other):
    both_copies_zeroed(v)
    v.text[0] = b"\x53\xef" * 1000


@defect("load", "foreign", NO_HEADER)
def both_foreign_magic(v, other):
    v.binary[0][0:4] = b"QFI\xfb"
    v.binary[1][0:4] = b"QFI\xfb"


@defect("load", "foreign", "it has a LUKS header of version 1, keyfence needs LUKS2: back it up "
        "and see `cryptsetup convert`")
def luks1(v, other):
    both_copies_zeroed(v)
    v.binary[0][0:8] = b"LUKS\xba\xbe\0\1"


@defect("load", "foreign", "it has a LUKS header of version 3, keyfence needs LUKS2: back it up "
        "and see `cryptsetup convert`")
def luks3(v, other):
    v.put(0, 6, ">H", 3)
    v.put(1, 6, ">H", 3)


@defect("load", "corrupt", NO_COPY)
def both_copies_bad_checksum(v, other):
    v.repair = [False, False]
    v.binary[0][450] ^= 1
    v.binary[1][460] ^= 1


@defect("load", "corrupt", NO_COPY)
def both_copies_bad_json_byte(v, other):
    v.repair = [False, False]
    for i in range(2):
        v.text[i] = v.area(i).rstrip(b"\0").replace(b"dynamic", b"dynamiC")


@defect("load", "foreign", NO_HEADER)
def first_copy_gone_second_in_no_known_place(v, other):
    v.repair[0] = False
    v.binary[0][:] = bytes(HEADER)
    v.text[0] = b""
    v.header_size = 69632


@defect("load", "corrupt", NO_COPY)
def both_copies_size_absurd(v, other):
    v.put(0, 8, ">Q", 2**40)
    v.put(1, 8, ">Q", 2**40)


@defect("load", "corrupt", NO_COPY)
def both_copies_size_zero(v, other):
    v.put(0, 8, ">Q", 0)
    v.put(1, 8, ">Q", 0)


@defect("load", "corrupt", NO_COPY)
def both_copies_unknown_checksum_algorithm(v, other):
    for i in range(2):
        v.binary[i][72:104] = b"x" * 32


@both_texts()
def json_not_an_object(v, other):
    v.text = [b"[]", b"[]"]


@both_texts()
def json_empty(v, other):
    v.text = [b"", b""]


@both_texts()
def json_nested_a_thousand_times(v, other):
    v.text = [b'{"tokens":' + b"[" * 1000 + b"]" * 1000 + b"}"] * 2


@both_texts()
def json_without_end(v, other):
    v.text = [b"{" + b'"' + b"a" * (65536 - HEADER - 2)] * 2


@both_texts()
def json_size_not_the_headers(v, other):
    v.json["config"]["json_size"] = "12288"


@both_texts()
def json_without_segments(v, other):
    del v.json["segments"]


@both_texts()
def keyslot_areas_overlap(v, other):
    add_keyslot(v)
    v.json["keyslots"]["1"] = keyslot()
    v.digest["keyslots"] = ["0", "1"]


@both_texts()
def keyslot_area_inside_the_json(v, other):
    add_keyslot(v, area={"offset": "4096"})


@both_texts()
def digest_of_a_missing_segment(v, other):
    v.digest["segments"] = ["7"]


@both_texts()
def data_offset_inside_the_header(v, other):
    v.segment["offset"] = "65536"


@defect("load", "foreign", PROFILE + "its metadata have more than 131072 bytes")
def json_too_long(v, other):
    v.segment["offset"] = "8388608"
    v.size = 16 << 20
    v.relayout(1 << 20)
    v.json["tokens"]["1"] = {"type": "x", "keyslots": [], "noise": "n" * 140000}
