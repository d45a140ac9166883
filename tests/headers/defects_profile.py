"""Metadata with a right checksum that are outside the profile."""

import copy

from volume import add_keyslot, both_texts, defect, outside

# ---- a right checksum, outside the profile --------------------------------------------------------

@outside('the cipher is "serpent-xts-plain64", expected "aes-xts-plain64"')
def cipher_serpent(v, other):
    v.segment["encryption"] = "serpent-xts-plain64"


@outside('the cipher is "cipher_null-ecb", expected "aes-xts-plain64"')
def cipher_null(v, other):
    v.segment["encryption"] = "cipher_null-ecb"


@outside('the cipher is "aes-cbc-essiv:sha256", expected "aes-xts-plain64"')
def cipher_cbc(v, other):
    v.segment["encryption"] = "aes-cbc-essiv:sha256"


@outside('the cipher is "?[2Jaes", expected "aes-xts-plain64"')
def cipher_with_terminal_codes(v, other):
    v.segment["encryption"] = "\x1b[2Jaes"


@outside("its metadata have more than 131072 bytes, or a NUL")
def cipher_with_a_hidden_nul(v, other):
    v.segment["encryption"] = "aes-xts-plain64\0x"


@outside("it has 2 segments, expected one named 0")
def second_segment(v, other):
    v.segment["size"] = "32768"
    v.json["segments"]["1"] = dict(v.segment, offset="1081344", size="dynamic")
    v.digest["segments"] = ["0", "1"]


@outside("it has 2 segments, expected one named 0")
def second_segment_linear(v, other):
    v.segment["size"] = "32768"
    v.json["segments"]["1"] = {"type": "linear", "offset": "1081344", "size": "dynamic"}


@outside('the segment\'s type is "linear", expected "crypt"')
def segment_linear(v, other):
    v.segment["type"] = "linear"


@outside('it requires "keyfence-of-the-future": finish or undo with cryptsetup what was begun '
         'with it')
def requirement_unknown(v, other):
    v.json["config"]["requirements"] = {"mandatory": ["keyfence-of-the-future"]}


@outside('it requires "offline-reencrypt": finish or undo with cryptsetup what was begun with it')
def requirement_offline_reencrypt(v, other):
    v.json["config"]["requirements"] = {"mandatory": ["offline-reencrypt"]}


def reencrypt_keyslot(v):
    v.json["keyslots"]["0"] = {
        "type": "reencrypt", "key_size": 1, "mode": "reencrypt", "direction": "forward",
        "area": {"type": "none", "offset": "131072", "size": "4096"}}


@outside('it requires "online-reencrypt-v2": finish or undo with cryptsetup what was begun with '
         'it')
def requirement_online_reencrypt(v, other):
    v.json["config"]["requirements"] = {"mandatory": ["online-reencrypt-v2"]}
    for name, flag in (("1", "backup-previous"), ("2", "backup-final")):
        v.json["segments"][name] = dict(v.segment, flags=[flag])
    v.digest["segments"] = ["0", "1", "2"]
    reencrypt_keyslot(v)


@outside("it has integrity tags, expected none")
def integrity(v, other):
    v.segment["integrity"] = {"type": "hmac(sha256)", "journal_encryption": "none",
                              "journal_integrity": "none"}


@outside("the sector size is 1024, expected 4096 or 512")
def sector_size_1024(v, other):
    v.segment["sector_size"] = 1024


@outside('the iv_tweak is "8", expected "0"')
def iv_tweak_not_zero(v, other):
    v.segment["iv_tweak"] = "8"


@outside('the segment\'s size is "32768", expected "dynamic"')
def segment_of_fixed_size(v, other):
    v.segment["size"] = "32768"


@outside('the segment has the unknown member "flags"')
def segment_with_flags(v, other):
    v.segment["flags"] = ["in-reencryption"]


@outside('the segment has the unknown member "iv_large_sectors"')
def segment_with_an_unknown_member(v, other):
    v.segment["iv_large_sectors"] = True


@outside("the data start at byte 1049088, expected a multiple of 4096")
def data_offset_unaligned(v, other):
    v.segment["offset"] = "1049088"


@outside("the data start at byte 0, expected behind the header's areas (1048576)")
def data_offset_zero(v, other):
    v.segment["offset"] = "0"


@defect("load", "corrupt",
        "it ends at byte 1114112, its data start at byte 1099511627776: it was cut off")
def data_offset_behind_the_end(v, other):
    v.segment["offset"] = str(1 << 40)


@outside("the data offset is no number up to 9223372036854775807")
def data_offset_of_64_bits(v, other):
    v.segment["offset"] = str(2**64 - 4096)


@outside('its metadata has the unknown member "generation"')
def root_with_an_unknown_member(v, other):
    v.json["generation"] = {}


@outside('config has the unknown member "mode"')
def config_with_an_unknown_member(v, other):
    v.json["config"]["mode"] = "x"


@outside("its uuid is malformed")
def uuid_not_one(v, other):
    for i in range(2):
        v.binary[i][168:208] = b"../../../../etc/passwd".ljust(40, b"\0")


@outside("it has 2 digests, expected one named 0")
def second_digest(v, other):
    v.json["digests"]["1"] = copy.deepcopy(v.digest)


@outside('the digest\'s type is "argon2", expected "pbkdf2"')
def digest_of_another_type(v, other):
    v.digest["type"] = "argon2"


@outside('the digest\'s hash is "md5", expected "sha256"')
def digest_of_another_hash(v, other):
    v.digest["hash"] = "md5"


@outside("the digest's iterations are no number from 1 to 10000000")
def digest_iterations_for_hours(v, other):
    v.digest["iterations"] = 2**31 - 1


@outside("the digest's iterations are no number from 1 to 10000000")
def digest_iterations_zero(v, other):
    v.digest["iterations"] = 0


@outside("the digest's salt is not base64 of 32 bytes")
def digest_salt_short(v, other):
    v.digest["salt"] = "AAAA"


@outside("the digest is not base64 of 32 bytes")
def digest_short(v, other):
    v.digest["digest"] = "A" * 27 + "="


@outside('keyslot 0: its area\'s cipher is "cipher_null-ecb", expected "aes-xts-plain64"')
def keyslot_null_cipher(v, other):
    add_keyslot(v, area={"encryption": "cipher_null-ecb"})


@outside("keyslot 0: its key size in bytes is 32, expected 64")
def keyslot_key_of_256_bits(v, other):
    add_keyslot(v, key_size=32)


@outside("keyslot 0: its area's key size in bytes is 32, expected 64")
def keyslot_area_key_of_256_bits(v, other):
    add_keyslot(v, area={"key_size": 32})


@both_texts()
def keyslot_without_a_digest(v, other):
    add_keyslot(v)
    v.digest["keyslots"] = []


@outside("it has 2 digests, expected one named 0")
def keyslot_of_another_key(v, other):
    add_keyslot(v)
    v.json["digests"]["1"] = dict(v.digest, segments=[])
    v.digest["keyslots"] = []


@outside('keyslot 0: its KDF is "scrypt", expected "argon2id"')
def keyslot_of_another_kdf(v, other):
    add_keyslot(v, kdf={"type": "scrypt"})


@outside('keyslot 0: it has the unknown member "hint"')
def keyslot_with_an_unknown_member(v, other):
    add_keyslot(v, hint="x")


@outside('keyslot 0: its type is "luks3", expected "luks2"')
def keyslot_of_another_type(v, other):
    add_keyslot(v, type="luks3")


@both_texts()
def keyslot_reencrypt_without_requirement(v, other):
    reencrypt_keyslot(v)
