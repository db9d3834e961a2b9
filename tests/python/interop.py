"""Our wire format, read and written by libraries of another language: cwt and cbor2, over cryptography, and py_ecc.

    interop.py check PATH…     verifies every vector in the JSON files at PATH; at least one of each kind
    interop.py control PATH…   spoils every vector in many ways and demands that each is refused
    interop.py make DIR        writes DIR/python.json: messages for the Rust test `python_made_messages_verify`

Deliberately written from RFC 9052, 9053, 8949 and protocol/README.md, not from our code. A vector is an object with a
`name`, a `kind` and hexadecimal fields:

    cbor      bytes                                            re-encodes to itself
    sign1     bytes, network, context, algorithm, public_key, payload
    header    bytes, network, algorithm, public_key, id        a sign1; id = SHA-256 of its payload
    body      bytes, network, algorithm, public_key, id, text  content and card signature; id = SHA-256 of the content
    envelope  bytes, network, context, curve, secret_key, plaintext
    certificate  bytes, network, block, validators             the set's signatures over the block's hash
    bls       bytes, public_key, message                       a signature of the suite …_SSWU_RO_POP_ (RFC 9380)

A file holds {"vectors": […]}; vectors of other kinds are counted and left alone. Golden vectors are of kind cbor; every
COSE_Sign1 inside them is verified too, as a sign1 of its own: they are of the network of 32 bytes a0, by Ed25519 keys
whose seeds are 32 equal bytes. `tests/run` calls this.
"""

import functools
import hashlib
import json
import pathlib
import sys

import cbor2
from cbor2 import CBORTag
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cwt import COSE, COSEKey, Recipient
from py_ecc.bls import G2ProofOfPossession

ED25519, ESP256, ESP384 = -19, -9, -51
ECDH_ES_HKDF_256, CHACHA20_POLY1305 = -25, 24
SIGN1, ENCRYPT = 18, 96
P256, X25519 = 1, 4
PRECOMMIT = 2
EC2_CURVES = {ESP256: (1, 32), ESP384: (2, 48)}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P384_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
ORDERS = {ESP256: P256_ORDER, ESP384: P384_ORDER}


class Refused(Exception):
    """The vector is not what it says."""


def demand(holds, what):
    if not holds:
        raise Refused(what)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def external_aad(context, network):
    return cbor2.dumps([context, network], canonical=True)


def canonical(data):
    """The one value in `data`, which must be its own deterministic encoding (RFC 8949, 4.2.1)."""
    value = cbor2.loads(data)
    demand(cbor2.dumps(value, canonical=True) == data, "not its own deterministic encoding")
    return value


# Keys


def verifying_key(algorithm, raw):
    """A COSE_Key (RFC 9052, 7) from a raw Ed25519 key or an uncompressed point (SEC 1)."""
    parameters = {3: algorithm, 2: sha256(raw)}
    if algorithm == ED25519:
        demand(len(raw) == 32, "length of the key")
        return COSEKey.new(parameters | {1: 1, -1: 6, -2: raw})
    curve, size = EC2_CURVES[algorithm]
    demand(len(raw) == 1 + 2 * size and raw[0] == 4, "an uncompressed point")
    return COSEKey.new(parameters | {1: 2, -1: curve, -2: raw[1 : 1 + size], -3: raw[1 + size :]})


def agreement_key(curve, secret):
    """The COSE_Key of a recipient with its private part, and the raw public key."""
    if curve == X25519:
        public = x25519.X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
        return COSEKey.new({1: 1, -1: X25519, -2: public, -4: secret, 3: ECDH_ES_HKDF_256, 2: sha256(public)}), public
    numbers = ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1()).public_key().public_numbers()
    x, y = numbers.x.to_bytes(32), numbers.y.to_bytes(32)
    public = b"\x04" + x + y
    key = {1: 2, -1: P256, -2: x, -3: y, -4: secret, 3: ECDH_ES_HKDF_256, 2: sha256(public)}
    return COSEKey.new(key), public


# Reading


def sign1(data, network, context, algorithm, public_key):
    """The payload of a COSE_Sign1 (RFC 9052, 4.2) that verifies under the key."""
    message = canonical(data)
    demand(isinstance(message, list) and len(message) == 4, "four items")
    protected, unprotected, payload, signature = message
    demand(canonical(protected) == {1: algorithm, 4: sha256(public_key)}, "algorithm and kid are protected")
    demand(unprotected == {}, "nothing is unprotected")
    if algorithm in ORDERS:
        s = int.from_bytes(signature[len(signature) // 2 :])
        demand(s <= ORDERS[algorithm] // 2, "low s")
    key = verifying_key(algorithm, public_key)
    verified = COSE.new(verify_kid=True).decode(CBORTag(SIGN1, message), key, external_aad=external_aad(context, network))
    demand(verified == payload, "the verified payload")
    return payload


def merkle_root(leaf, index, leaves, path):
    """RFC 9162, 2.1.3.2."""
    node, last, digest = index, leaves - 1, leaf
    for sibling in path:
        demand(last > 0, "the path is too long")
        if node & 1 or node == last:
            digest = sha256(b"\x01", sibling, digest)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            digest = sha256(b"\x01", digest, sibling)
        node, last = node >> 1, last >> 1
    demand(last == 0, "the path is too short")
    return digest


def read_cbor(v):
    canonical(v["bytes"])


def read_sign1(v):
    payload = sign1(v["bytes"], v["network"], v["context"], v["algorithm"], v["public_key"])
    demand(payload == v["payload"], "the payload")


def read_header(v):
    payload = sign1(v["bytes"], v["network"], "hospes/1/header", v["algorithm"], v["public_key"])
    demand(sha256(payload) == v["id"], "the id is the hash of the payload")
    fields = canonical(payload)
    demand(len(fields) == 12 and fields[0] == 1 and fields[1] == v["network"], "format and network")
    demand(fields[3] == sha256(v["public_key"]), "the node is the hash of its key")


def read_body(v):
    content, signatures = canonical(v["bytes"])
    demand(sha256(content) == v["id"], "the id is the hash of the content")
    fields = canonical(content)
    demand(len(fields) == 8 and fields[0] == 1 and fields[1] == v["network"], "format and network")
    canonical(fields[7])
    index, leaves, path, signed = signatures[0]
    tap = canonical(sign1(signed, v["network"], "hospes/1/tap", v["algorithm"], v["public_key"]))
    demand(tap[0] == sha256(v["text"].encode()), "the text that was shown")
    demand(merkle_root(sha256(b"\x00", v["id"]), index, leaves, path) == tap[2], "the content is under the root")


def read_envelope(v):
    key, public = agreement_key(v["curve"], v["secret_key"])
    message = canonical(v["bytes"])
    recipient = message[3][0]
    demand(len(message[3]) == 1, "direct key agreement has one recipient (RFC 9052, 8.5.4)")
    demand(canonical(recipient[0])[1] == ECDH_ES_HKDF_256, "the recipient's algorithm")
    demand(sha256(public) in (recipient[1].get(4), canonical(recipient[0]).get(4)), "the recipient's kid")
    plain = COSE.new(verify_kid=True).decode(
        CBORTag(ENCRYPT, message),
        [key],
        context=kdf_context(recipient[0]),
        external_aad=external_aad(v["context"], v["network"]),
    )
    demand(plain == v["plaintext"], "the plaintext")


def read_certificate(v):
    height, rounds, block, validators, signatures = canonical(v["bytes"])
    demand(block == sha256(v["block"]) and canonical(v["block"])[2] == height, "the block's hash and height")
    demand(validators == sha256(v["validators"]), "the hash of the validator set")
    keys = {node: raw for node, _, (algorithm, raw) in canonical(v["validators"])[0] if algorithm == -ED25519}
    signers = [signer for signer, _ in signatures]
    demand(len(set(signers)) == len(signers), "each validator once")
    demand(3 * len(signers) > 2 * len(keys), "more than two thirds")
    for signer, signature in signatures:
        vote = cbor2.dumps([1, v["network"], PRECOMMIT, height, rounds, block, signer], canonical=True)
        message = [protected_header(ED25519, keys[signer]), {}, vote, signature]
        sign1(cbor2.dumps(message, canonical=True), v["network"], "hospes/1/vote", ED25519, keys[signer])


def read_bls(v):
    demand(G2ProofOfPossession.Verify(v["public_key"], v["message"], v["bytes"]), "the signature")


def protected_header(algorithm, public_key):
    return cbor2.dumps({1: algorithm, 4: sha256(public_key)}, canonical=True)


def kdf_context(protected):
    """COSE_KDF_Context for a ChaCha20/Poly1305 key (RFC 9053, 5.2)."""
    return [CHACHA20_POLY1305, [None, None, None], [None, None, None], [256, protected]]


READERS = {
    "cbor": read_cbor,
    "sign1": read_sign1,
    "header": read_header,
    "body": read_body,
    "envelope": read_envelope,
    "certificate": read_certificate,
    "bls": read_bls,
}
TEXTS = {"name", "kind", "context", "text", "language"}


def vectors(paths):
    """All vectors of the files, hexadecimal fields as bytes."""
    files = [f for p in map(pathlib.Path, paths) for f in (sorted(p.rglob("*.json")) if p.is_dir() else [p])]
    for file in files:
        for vector in json.loads(file.read_text())["vectors"]:
            vector = {
                field: bytes.fromhex(value) if isinstance(value, str) and field not in TEXTS else value
                for field, value in vector.items()
                if vector["kind"] in READERS or field in TEXTS
            }
            yield vector
            if vector["kind"] == "cbor":
                yield from signatures_inside(vector["name"], cbor2.loads(vector["bytes"]))


GOLDEN_NETWORK = bytes([0xA0]) * 32


@functools.cache
def golden_keys():
    """The public keys that golden vectors are signed with, by kid."""
    raw = (ed25519.Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32).public_key() for n in range(256))
    return {sha256(public): public for public in (key.public_bytes_raw() for key in raw)}


def signatures_inside(name, value):
    """Each COSE_Sign1 at any depth of a value, also inside byte strings, as a vector."""
    if isinstance(value, bytes) and len(value) > 96:
        try:
            inside = canonical(value)
        except Exception:  # a byte string that holds something else
            return
        yield from signatures_inside(name, inside)
    elif isinstance(value, list):
        if len(value) == 4 and value[1] == {} and isinstance(value[0], bytes):
            yield signed_inside(name, value)
        for item in value:
            yield from signatures_inside(name, item)


def signed_inside(name, message):
    kid, payload = canonical(message[0])[4], canonical(message[2])
    return {
        "name": f"signature inside {name}",
        "kind": "sign1",
        "bytes": cbor2.dumps(message, canonical=True),
        "network": GOLDEN_NETWORK,
        "context": "hospes/1/header" if len(payload) == 12 else "hospes/1/tap",
        "algorithm": ED25519,
        "public_key": golden_keys().get(kid, b""),
        "payload": message[2],
    }


def verdict(vector):
    """Nothing, or why the vector is refused: every error of the libraries is a refusal."""
    try:
        READERS[vector["kind"]](vector)
    except Exception as error:  # what bytes from outside make a library raise is not ours to list
        return f"{type(error).__name__}: {error}"
    return None


def check(paths):
    counts, failed = {}, 0
    for vector in vectors(paths):
        kind = vector["kind"] if vector["kind"] in READERS else "left alone"
        counts[kind] = counts.get(kind, 0) + 1
        why = verdict(vector) if kind in READERS else None
        if why:
            failed += 1
            print(f"{vector['name']}: {why}")
    missing = sorted({"header", "body", "envelope", "certificate", "bls"} - counts.keys())
    print("checked by cwt, cbor2 and py_ecc:", ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())) or "nothing")
    if missing:
        print("no vector of kind", ", ".join(missing))
    return 1 if failed or missing else 0


def control(paths):
    """Every vector, sound as it is, must be refused once it is spoilt; bits are changed at many places."""
    changed, passed = 0, 0
    for vector in vectors(paths):
        if vector["kind"] not in READERS:
            continue
        if verdict(vector):
            print(f"{vector['name']} is refused before anything was changed")
            return 1
        for what, spoilt in spoil(vector["kind"], vector["bytes"]):
            changed += 1
            if not verdict(vector | {"bytes": spoilt}):
                passed += 1
                print(f"{vector['name']} still verifies with {what}")
    print(f"{changed} spoilt vectors, {changed - passed} refused")
    return 0 if changed and not passed else 1


def spoil(kind, data):
    """What must be refused: changed bits; in plain CBOR, where they may give another value, other encodings."""
    if kind == "cbor":
        major, length = data[0] & 0xE0, data[0] & 0x1F
        yield "a byte behind it", data + b"\0"
        yield "its length in more bytes than needed", (
            bytes([major | 24, length]) + data[1:] if length < 24 else bytes([major | 25, 0]) + data[1:]
        )
        return
    # A pairing in Python takes a second.
    places = 8 if kind == "bls" else 64
    for at in range(0, len(data), max(1, len(data) // places)):
        yield f"byte {at} changed", data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# Writing


def signing_key(algorithm, seed):
    """A private COSE_Key and the raw public key, from 32 bytes (48 for P-384)."""
    if algorithm == ED25519:
        public = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        return COSEKey.new({1: 1, -1: 6, -2: public, -4: seed, 3: algorithm, 2: sha256(public)}), public
    curve, size = EC2_CURVES[algorithm]
    group = ec.SECP256R1() if algorithm == ESP256 else ec.SECP384R1()
    numbers = ec.derive_private_key(int.from_bytes(seed), group).public_key().public_numbers()
    x, y = numbers.x.to_bytes(size), numbers.y.to_bytes(size)
    key = {1: 2, -1: curve, -2: x, -3: y, -4: seed, 3: algorithm, 2: sha256(b"\x04" + x + y)}
    return COSEKey.new(key), b"\x04" + x + y


def write_sign1(payload, network, context, algorithm, seed):
    key, public = signing_key(algorithm, seed)
    # Deterministic maps put 1 (alg) before 4 (kid), as this dictionary does.
    message = COSE.new().encode_and_sign(
        payload,
        key,
        protected={1: algorithm, 4: sha256(public)},
        external_aad=external_aad(context, network),
        out="cbor2/CBORTag",
    ).value
    if algorithm in ORDERS:
        size = len(message[3]) // 2
        s = int.from_bytes(message[3][size:])
        low = min(s, ORDERS[algorithm] - s)
        message = [*message[:3], message[3][:size] + low.to_bytes(size)]
    return cbor2.dumps(message, canonical=True), public


def make_signed(network):
    for name, algorithm, seed in [
        ("ed25519", ED25519, bytes([1]) * 32),
        ("esp256", ESP256, bytes([2]) * 32),
        ("esp384", ESP384, bytes([3]) * 48),
    ]:
        payload = cbor2.dumps([sha256(b"shown"), "en", sha256(name.encode())], canonical=True)
        data, public = write_sign1(payload, network, "hospes/1/tap", algorithm, seed)
        yield vector(
            f"tap by {name}", "sign1", data, network, context="hospes/1/tap", algorithm=algorithm, public_key=public,
            payload=payload,
        )


def make_header(network):
    seed = bytes([4]) * 32
    _, public = signing_key(ED25519, seed)
    fields = [1, network, sha256(b"organization"), sha256(public), 1, None, 21, sha256(b"subject"), sha256(b"content"),
              sha256(b"lock"), [], 1_900_000_000_000]
    payload = cbor2.dumps(fields, canonical=True)
    data, _ = write_sign1(payload, network, "hospes/1/header", ED25519, seed)
    return vector("header", "header", data, network, algorithm=ED25519, public_key=public, id=sha256(payload))


def make_body(network):
    """A content of a kind that no build knows, in a tap of two contents."""
    content = cbor2.dumps([1, network, 4711, sha256(b"organization"), bytes(range(32)), None, [], cbor2.dumps([7])],
                          canonical=True)
    leaf, other = sha256(b"\x00", sha256(content)), sha256(b"\x00", sha256(b"the other content"))
    text = "Darf lesen: Labor, bis 1. März"
    tap = cbor2.dumps([sha256(text.encode()), "de", sha256(b"\x01", other, leaf)], canonical=True)
    signed, public = write_sign1(tap, network, "hospes/1/tap", ESP256, bytes([5]) * 32)
    data = cbor2.dumps([content, [[1, 2, [other], signed]]], canonical=True)
    return vector("body", "body", data, network, algorithm=ESP256, public_key=public, id=sha256(content), text=text)


def make_certificate(network):
    """A block of four validators, three of which committed it."""
    seeds = {sha256(public): (seed, public) for seed in (bytes([n]) * 32 for n in range(40, 44))
             for _, public in [signing_key(ED25519, seed)]}
    nodes = sorted(seeds)
    validators = cbor2.dumps([[[node, sha256(b"organization"), [-ED25519, seeds[node][1]]] for node in nodes]],
                             canonical=True)
    block = cbor2.dumps([1, network, 1, network, 1_900_000_000_000, nodes[0], [], [], sha256(b"state"),
                         sha256(validators), sha256(validators), None, [], []], canonical=True)
    signatures = []
    for node in nodes[1:]:
        vote = cbor2.dumps([1, network, PRECOMMIT, 1, 0, sha256(block), node], canonical=True)
        message, _ = write_sign1(vote, network, "hospes/1/vote", ED25519, seeds[node][0])
        signatures.append([node, cbor2.loads(message)[3]])
    data = cbor2.dumps([1, 0, sha256(block), sha256(validators), signatures], canonical=True)
    return vector("certificate", "certificate", data, network, block=block, validators=validators)


def write_envelope_to_p256(plaintext, aad, public):
    kid = sha256(public)
    to = COSEKey.new({1: 2, -1: P256, -2: public[1:33], -3: public[33:], 3: ECDH_ES_HKDF_256, 2: kid})
    header = {1: ECDH_ES_HKDF_256}
    context = kdf_context(cbor2.dumps(header, canonical=True))
    recipient = Recipient.new(protected=header, unprotected={4: kid}, recipient_key=to, context=context)
    return COSE.new().encode_and_encrypt(
        plaintext,
        None,
        protected={1: CHACHA20_POLY1305},
        unprotected={5: bytes(range(12))},
        recipients=[recipient],
        external_aad=aad,
        out="cbor2/CBORTag",
    ).value


def write_envelope_to_x25519(plaintext, aad, public):
    """By hand: cwt 3.3 opens such messages but makes no ephemeral key on this curve."""
    ephemeral = x25519.X25519PrivateKey.from_private_bytes(bytes([7]) * 32)
    shared = ephemeral.exchange(x25519.X25519PublicKey.from_public_bytes(public))
    header = cbor2.dumps({1: ECDH_ES_HKDF_256}, canonical=True)
    info = cbor2.dumps(kdf_context(header), canonical=True)
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(shared)
    protected = cbor2.dumps({1: CHACHA20_POLY1305}, canonical=True)
    nonce = bytes(range(12))
    structure = cbor2.dumps(["Encrypt", protected, aad], canonical=True)
    sealed = ChaCha20Poly1305(key).encrypt(nonce, plaintext, structure)
    sender = {1: 1, -1: X25519, -2: ephemeral.public_key().public_bytes_raw()}
    return [protected, {5: nonce}, sealed, [[header, {4: sha256(public), -1: sender}, b""]]]


def make_envelopes(network):
    for name, curve, write in [
        ("x25519", X25519, write_envelope_to_x25519),
        ("p-256", P256, write_envelope_to_p256),
    ]:
        secret = bytes([6]) * 32
        _, public = agreement_key(curve, secret)
        plaintext = f"a packet for {name}".encode()
        message = write(plaintext, external_aad("hospes/1/packet", network), public)
        data = cbor2.dumps(message, canonical=True)
        yield vector(
            f"envelope to {name}", "envelope", data, network, context="hospes/1/packet", curve=curve,
            secret_key=secret, plaintext=plaintext,
        )


def make_bls(network):
    secret = G2ProofOfPossession.KeyGen(bytes([7]) * 32)
    message = b"a release of another library"
    yield vector(
        "signature by BLS12-381", "bls", G2ProofOfPossession.Sign(secret, message), network, message=message,
        public_key=G2ProofOfPossession.SkToPk(secret),
    )


def vector(name, kind, data, network, **fields):
    values = {"name": name, "kind": kind, "bytes": data, "network": network} | fields
    return {field: value.hex() if isinstance(value, bytes) else value for field, value in values.items()}


def make(folder):
    network = sha256(b"a network of another language")
    made = [*make_signed(network), make_header(network), make_body(network), make_certificate(network),
            *make_envelopes(network), *make_bls(network)]
    path = pathlib.Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    (path / "python.json").write_text(json.dumps({"vectors": made}, indent=1))
    print(f"{len(made)} messages written")
    return check([path / "python.json"])


def main(arguments):
    commands = {"check": check, "control": control, "make": lambda paths: make(*paths)}
    if len(arguments) < 2 or arguments[0] not in commands:
        print(__doc__)
        return 2
    return commands[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
