"""Tokens that are malformed, or not what the owner of the key wrote."""

import copy

from volume import NO_MAC, add_keyslot, bad_token, defect, outside

# ---- the token ------------------------------------------------------------------------------------

@defect("load", "foreign",
        "a LUKS2 volume without a keyfence token: no key service has its key")
def token_missing(v, other):
    v.json["tokens"] = {}


@outside("it has more than one keyfence token")
def two_tokens(v, other):
    v.json["tokens"]["1"] = copy.deepcopy(v.token)


@bad_token("it has version 2, this keyfence knows version 1: use a newer keyfence", "foreign")
def token_version_2(v, other):
    v.token["version"] = 2


@bad_token("it has no version")
def token_version_missing(v, other):
    del v.token["version"]


@bad_token("it has a member that version 1 does not know")
def token_unknown_member(v, other):
    v.token["policy"] = "x"


@bad_token("wrap number 1 has a member that version 1 does not know")
def wrap_unknown_member(v, other):
    v.token["wraps"][0]["policy"] = "x"


@bad_token('wrap number 1 has no "probe"')
def wrap_without_probe(v, other):
    del v.token["wraps"][0]["probe"]


@bad_token("two wraps have the id 1")
def wrap_ids_repeated(v, other):
    v.token["wraps"][1]["id"] = 1


@bad_token("it has 6 wraps, more than 5")
def wraps_too_many(v, other):
    v.token["wraps"] = [dict(v.token["wraps"][0], id=i + 1) for i in range(6)]


@bad_token("it has no wrap with the role primary")
def wraps_none(v, other):
    v.token["wraps"] = []


@bad_token('"wraps" is not an array')
def wraps_not_an_array(v, other):
    v.token["wraps"] = {"0": v.token["wraps"][0]}


@bad_token('wrap number 1: "wrapped" is not base64 of at most 6144 bytes')
def wrap_bad_base64(v, other):
    v.token["wraps"][0]["wrapped"] = "AAA*"


@bad_token('wrap number 2: "wrapped" is not base64 of at most 6144 bytes')
def wrap_too_large(v, other):
    v.token["wraps"][1]["wrapped"] = "A" * (6148 // 3 * 4)


@bad_token('wrap number 1: "key" has more than 511 bytes')
def wrap_key_too_long(v, other):
    v.token["wraps"][0]["key"] = "file:///" + "x" * 504


@bad_token('wrap number 1: "key" holds control characters')
def wrap_key_with_terminal_codes(v, other):
    v.token["wraps"][0]["key"] = "file:///\x1b[2J"


@bad_token("its history has 65 entries, more than 64")
def history_too_long(v, other):
    v.token["history"] = v.token["history"] * 65


@bad_token('"keyslots" is not an empty array')
def token_with_keyslots(v, other):
    add_keyslot(v)
    v.token["keyslots"] = ["0"]


@bad_token('it: "mac" has 31 bytes, expected 32')
def mac_short(v, other):
    v.token["mac"] = "A" * 40 + "AA=="


@bad_token('it has no "mac"')
def mac_missing(v, other):
    del v.token["mac"]


# ---- readable, and not what the owner of the key wrote --------------------------------------------

@defect("verify", "corrupt", NO_MAC)
def mac_wrong(v, other):
    v.token["mac"] = "A" * 43 + "="


@defect("verify", "corrupt", NO_MAC)
def token_of_another_volume(v, other):
    v.json["tokens"]["0"] = other.token


@defect("verify", "corrupt", NO_MAC)
def history_tampered(v, other):
    v.token["history"][0]["until"] = "2030-01-01T00:00:00Z"


@defect("verify", "corrupt", NO_MAC)
def history_removed(v, other):
    v.token["history"] = []


@defect("verify", "corrupt", NO_MAC)
def wrap_removed(v, other):
    del v.token["wraps"][1]


@defect("verify", "corrupt", NO_MAC)
def wraps_swapped(v, other):
    v.token["wraps"].reverse()


@defect("verify", "corrupt", NO_MAC)
def wrap_made_primary(v, other):
    v.token["wraps"][1]["role"] = "primary"


@defect("verify", "corrupt", NO_MAC)
def wrap_of_another_key(v, other):
    v.token["wraps"][0]["key"] = "file:///keys/mine"


@defect("verify", "corrupt", NO_MAC)
def uuid_changed(v, other):
    for i in range(2):
        v.binary[i][168] = ord("9")


@defect("verify", "corrupt", NO_MAC)
def data_offset_changed(v, other):
    v.segment["offset"] = str(1048576 + 4096)


@defect("verify", "corrupt", NO_MAC)
def sector_size_changed(v, other):
    v.segment["sector_size"] = 512


@defect("verify", "corrupt", "the key is not volume 11111111-2222-4333-8444-555555555555's: the "
        "LUKS2 digest does not match it")
def digest_replaced(v, other):
    v.json["digests"] = other.json["digests"]


@defect("verify", "corrupt", "the key is not volume 11111111-2222-4333-8444-555555555555's: the "
        "LUKS2 digest does not match it")
def digest_iterations_changed(v, other):
    v.digest["iterations"] = 1001
