"""Ways to spoil a file: bytes that know nothing of the format, and spoilers of each format.

Every function takes chance and bytes and returns bytes. What they do to a file is what disks,
networks, other programs and malice do: cut it, flip its bits, and make its numbers lie.
"""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Chance = np.random.Generator
Mutation = Callable[[Chance, bytes], bytes]

HUGE = (0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
BILLION = "".join(f"b{i}: &b{i} [{', '.join([f'*b{i - 1}'] * 9)}]\n" for i in range(1, 12))
BOMB = f"b0: &b0 [lol, lol]\n{BILLION}"
"""A few hundred bytes of YAML that stand for billions of words."""


def _place(chance: Chance, data: bytes) -> int:
    """Somewhere; half the time near the start, where formats keep what they are."""
    most = min(len(data), 256) if chance.random() < 0.5 else len(data)
    return int(chance.integers(most + 1))


def flip(chance: Chance, data: bytes) -> bytes:
    """A few bits turned."""
    spoilt = bytearray(data)
    for _ in range(int(chance.integers(1, 24)) if spoilt else 0):
        spoilt[min(_place(chance, data), len(data) - 1)] ^= 1 << int(chance.integers(8))
    return bytes(spoilt)


def cut(chance: Chance, data: bytes) -> bytes:
    """Ends early, perhaps at once."""
    return data[: _place(chance, data)]


def splice(chance: Chance, data: bytes) -> bytes:
    """A piece of the file again, in another place, over or between what is there."""
    start, end = sorted((_place(chance, data), _place(chance, data)))
    piece, at = data[start:end], _place(chance, data)
    over = len(piece) if chance.random() < 0.5 else 0
    return data[:at] + piece + data[at + over :]


def lose(chance: Chance, data: bytes) -> bytes:
    """A piece is missing."""
    start, end = sorted((_place(chance, data), _place(chance, data)))
    return data[:start] + data[end:]


def blank(chance: Chance, data: bytes) -> bytes:
    """A piece is zeros, as after a crash of the machine, or noise."""
    start, end = sorted((_place(chance, data), _place(chance, data)))
    noise = chance.bytes(end - start) if chance.random() < 0.5 else bytes(end - start)
    return data[:start] + noise + data[end:]


def huge(chance: Chance, data: bytes) -> bytes:
    """A number somewhere is one that no honest file has."""
    width = int(chance.choice([1, 2, 4, 8]))
    value = int(chance.choice(HUGE[:8])) % 256**width
    at = _place(chance, data)
    return data[:at] + value.to_bytes(width, chance.choice(["little", "big"])) + data[at + width :]


def other(chance: Chance, data: bytes) -> bytes:
    """Something else altogether."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
    others = (
        b"",
        b"\0",
        chance.bytes(500),
        b"\xff" * 64,
        b"<html>404</html>",
        pointer,
        data + data,
    )
    return others[int(chance.integers(len(others)))]


BYTES: tuple[Mutation, ...] = (flip, flip, cut, splice, lose, blank, huge, other)


# What a value may be instead: of every type, and at the edges of each.
def _odd(chance: Chance) -> Any:
    deep: Any = 0
    for _ in range(300):
        deep = [deep]
    odd: tuple[Any, ...] = (
        *(None, True, False, "", "x", "a" * 5000, "\x00", "\ud800", "é\u202e", "{}", "../../x"),
        *(0, 1, -1, 2**31, -(2**63), 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf")),
        *([], {}, [None], {"": None}, [[]], {"a": {"b": []}}, ["x"] * 200, deep),
    )
    return odd[int(chance.integers(len(odd)))]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values within."""
    found = [path]
    inner = (
        value
        if isinstance(value, dict)
        else dict(enumerate(value if isinstance(value, list) else ()))
    )
    for key, each in inner.items():
        found += _places(each, (*path, key))
    return found


def spoil_value(chance: Chance, value: Any) -> Any:
    """A nested value with one to three of its parts changed, removed, renamed or moved."""
    value = json.loads(json.dumps(value))
    for _ in range(int(chance.integers(1, 4))):
        places = [place for place in _places(value) if place]
        if not places or chance.random() < 0.03:
            return _odd(chance)
        *way, last = places[int(chance.integers(len(places)))]
        holder = value
        for key in way:
            holder = holder[key]
        kind = chance.random()
        if kind < 0.6:
            holder[last] = _odd(chance)
        elif kind < 0.8:
            del holder[last]
        elif isinstance(holder, dict):
            holder[f"{last}_"] = holder.pop(last)
        else:
            holder.append(holder[last])
    return value


def spoil_json(chance: Chance, data: bytes) -> bytes:
    """JSON of another content, now and then with what JSON does not have."""
    text = json.dumps(spoil_value(chance, json.loads(data)))
    kind = chance.random()
    if kind < 0.05:
        text = "[" * 20_000 + "]" * 20_000
    elif kind < 0.1:
        text = text.replace(": ", ": 1" + "0" * 5000 + ", ", 1).replace("1000", "1e99", 1)
    elif kind < 0.15 and text.startswith('{"'):
        name = text.split('"')[1]
        text = f'{{"{name}": null, {text[1:]}'
    return text.encode()


def spoil_jsonl(chance: Chance, data: bytes) -> bytes:
    lines = data.splitlines()
    at = int(chance.integers(len(lines)))
    lines[at] = spoil_json(chance, lines[at])
    return b"\n".join(lines)


def spoil_yaml(chance: Chance, data: bytes) -> bytes:
    """YAML of another content, with what only YAML has."""
    import yaml

    found = yaml.safe_load(data)
    strange = (
        BOMB,
        "a: &a [*a]\n",
        "a: &a\n  b: *a\n",
        "[" * 3000,
        "a: !!python/object/apply:os.system ['touch harmed']\n",
        "a: !!binary x\n",
        "a: 2001-99-99\n",
        "a: !!timestamp x\n",
        "? [a, b]\n: c\n",
        "? {a: b}\n: c\n",
        "a: !!int x\n",
        "a: 1_0:99:99\n",
        "a: !!float ''\n",
        "<<: 3\n",
        "<<: [1]\n",
        "---\na: 1\n---\nb: 2\n",
        "a: *b\n",
        "%YAML 9.9\n---\na: 1\n",
        "1: 2\n",
        "~: x\n",
        "a: " + "9" * 5000 + "\n",
        "a: !!set {x, y}\n",
        "a: !!omap [1]\n",
        "=: 1\n",
        "\t- x\n",
        '"\\ud800": 1\n',
    )
    kind = chance.random()
    if kind < 0.25:
        return strange[int(chance.integers(len(strange)))].encode()
    if kind < 0.45:
        # In the place of a value, so that the rest is as it should be.
        lines = data.decode().splitlines()
        at = int(chance.integers(len(lines)))
        odd = ("2001-01-01", "!!set {a}", "!!binary aGk=", ".nan", ".inf", "0x" + "f" * 300, "{}")
        lines[at] = f"{lines[at].partition(':')[0]}: {odd[int(chance.integers(len(odd)))]}"
        return "\n".join(lines).encode()
    text = yaml.safe_dump(spoil_value(chance, found), allow_unicode=bool(chance.random() < 0.5))
    return text.encode("utf-8", "surrogatepass")


def spoil_text(chance: Chance, data: bytes) -> bytes:
    """Text with odd characters, braces, quotes and separators put in."""
    odd = (
        *(
            "{}",
            "{",
            "}",
            "{0.__class__}",
            '"',
            '"\n',
            ",",
            ",,,",
            "\x00",
            "\u202e",
            "\ud800",
            "\r",
        ),
        "a" * 3000,
        *("\ufeff", "\n\n", "-1", "1e999", "NaN", "../", "/", "%s", "é", "{} {}"),
    )
    text = data.decode("utf-8", "replace")
    for _ in range(int(chance.integers(1, 4))):
        at = int(chance.integers(len(text) + 1))
        text = text[:at] + odd[int(chance.integers(len(odd)))] + text[at:]
    if chance.random() < 0.1:
        return text.encode("utf-16", "surrogatepass")
    return text.encode("utf-8", "surrogatepass")


def _join_safetensors(header: bytes, rest: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + rest


def spoil_safetensors(chance: Chance, data: bytes) -> bytes:
    """A header that lies, before the data as they were."""
    size = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + size]), data[8 + size :]
    kind = chance.random()
    if kind < 0.05:
        return int(chance.choice(HUGE[:9])).to_bytes(8, "little") + data[8:]
    if kind < 0.1:
        return _join_safetensors(b"[" * 50_000, rest)
    if kind < 0.15:
        text = json.dumps(header)
        name = text.split('"')[1]
        return _join_safetensors(f'{{"{name}": {{}}, {text[1:]}'.encode(), rest)
    names = [name for name in header if name != "__metadata__"]
    name = names[int(chance.integers(len(names)))]
    entry = header[name]
    if kind < 0.55:
        # What is read as well as before, but is something else.
        _retype(chance, header, name)
    elif kind < 0.75:
        entry["data_offsets"] = [int(chance.choice(HUGE[:9])) * s for s in (1, -1)][
            :: int(chance.choice([1, -1]))
        ]
        if chance.random() < 0.5:
            entry["shape"] = [int(v) for v in chance.choice(HUGE[:7], 3)]
    elif kind < 0.85 and "__metadata__" in header:
        texts = header["__metadata__"]
        key = list(texts)[int(chance.integers(len(texts)))]
        try:
            texts[key] = spoil_json(chance, texts[key].encode()).decode()
        except json.JSONDecodeError:
            texts[key] = "\x00{"
    else:
        header = spoil_value(chance, header)
    return _join_safetensors(json.dumps(header).encode(), rest)


def _retype(chance: Chance, header: dict[str, Any], name: str) -> None:
    """Another type of the same width, another shape of as many numbers, or another name."""
    entry = header[name]
    start, end = entry["data_offsets"]
    width = int(chance.choice([1, 2, 4, 8]))
    types = {1: "I8 U8 BOOL F8_E4M3 F8_E5M2", 2: "F16 BF16 I16", 4: "I32 U32 F32", 8: "I64 F64 C64"}
    kind = chance.random()
    if kind < 0.5 and (end - start) % width == 0:
        options = types[width].split()
        entry["dtype"] = options[int(chance.integers(len(options)))]
        entry["shape"] = [(end - start) // width]
    elif kind < 0.8:
        count = int(np.prod(entry["shape"]))
        shapes = [[], [1], [count], [1, count], [count, 1], [0, 3], [1] * 60, [count, 1, 1, 1, 1]]
        entry["shape"] = shapes[int(chance.integers(len(shapes)))]
    else:
        odd = (f"{name}.alpha", "alpha", "", ".", "a.b.c", f"{name}é", name.replace(".", "_"))
        header[odd[int(chance.integers(len(odd)))]] = header.pop(name)


def spoil_png(chance: Chance, data: bytes) -> bytes:
    """Chunks changed, doubled, lost or moved, with sums that are right."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        chunks.append((name, data[at + 8 : at + 8 + size]))
        at += 12 + size
    for _ in range(int(chance.integers(1, 3))):
        place = 0 if chance.random() < 0.4 else int(chance.integers(len(chunks)))
        name, body = chunks[place]
        kind = chance.random()
        if kind < 0.6:
            chunks[place] = name, (huge if kind < 0.3 else flip)(chance, body)
        elif kind < 0.7:
            chunks.insert(int(chance.integers(len(chunks) + 1)), (name, body))
        elif kind < 0.8:
            del chunks[place]
        else:
            # A text that unpacks to a thousand times its size, and other guests.
            bomb = zlib.compress(bytes(80 * 2**20))
            guests = (
                (b"zTXt", b"a\0\0" + bomb),
                (b"iTXt", b"a\0\1\0\0\0" + bomb),
                (b"iCCP", b"a\0\0" + bomb),
                (b"eXIf", b"II*\0" + chance.bytes(80)),
                (b"tRNS", chance.bytes(int(chance.integers(300)))),
                (b"acTL", struct.pack(">II", 2**31 - 1, 0)),
                (b"gAMA", b"\0" * 4),
                (b"PLTE", chance.bytes(5)),
            )
            chunks.insert(1, guests[int(chance.integers(len(guests)))])
        if not chunks:
            break
    out = data[:8]
    for name, body in chunks:
        out += struct.pack(">I", len(body)) + name + body
        out += struct.pack(">I", zlib.crc32(name + body))
    return out


def spoil_dimensions(chance: Chance, data: bytes) -> bytes:
    """Width, height and tags where a format keeps them."""
    spoilt = bytearray(data)
    sides = (0, 1, 31, 4000, 11_000, 16_383, 65_535, 2**31 - 1, 2**32 - 1)
    width, height = (int(value) for value in chance.choice(sides, 2))
    if data.startswith(b"BM"):
        spoilt[18:26] = struct.pack("<II", width, height)
    elif data.startswith(b"GIF8"):
        spoilt[6:10] = struct.pack("<HH", width % 65536, height % 65536)
    elif data[8:12] == b"WEBP":
        at = int(chance.choice([24, 26, 21, 23]))
        spoilt[at : at + 2] = struct.pack("<H", width % 65536)
    elif data[:2] == b"\xff\xd8":
        at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        spoilt[at + 5 : at + 9] = struct.pack(">HH", height % 65536, width % 65536)
    elif data[:4] in (b"II*\0", b"MM\0*"):
        return _spoil_tags(chance, data)
    return bytes(spoilt)


def _spoil_tags(chance: Chance, data: bytes) -> bytes:
    """Entries of a TIFF's first directory: tag, type, count, value."""
    spoilt = bytearray(data)
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for _ in range(int(chance.integers(1, 4))):
        at = start + 2 + 12 * int(chance.integers(count))
        kind = int(chance.integers(4))
        if kind == 0:
            struct.pack_into(f"{order}H", spoilt, at, int(chance.integers(254, 340)))
        elif kind == 1:
            struct.pack_into(f"{order}H", spoilt, at + 2, int(chance.integers(0, 19)))
        elif kind == 2:
            struct.pack_into(f"{order}I", spoilt, at + 4, int(chance.choice(HUGE[:7])))
        else:
            value = int(chance.choice([0, 1, 3, 8, 16, 32, 5, 7, 9000, 12_000, 2**31, 2**32 - 1]))
            struct.pack_into(f"{order}I", spoilt, at + 8, value)
    return bytes(spoilt)


def spoil_zip(chance: Chance, data: bytes) -> bytes:
    """A zip whose members are changed within, with sums that are right."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = list(members)[int(chance.integers(len(members)))]
    if chance.random() < 0.6:
        name = next(n for n in members if n.endswith("data.pkl"))
    kind = chance.random()
    if kind < 0.7:
        change = BYTES[int(chance.integers(len(BYTES)))]
        members[name] = change(chance, members[name])
    elif kind < 0.85:
        del members[name]
    else:
        members |= {f"archive/data/{i}": b"" for i in range(2000)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for each, content in members.items():
            file.writestr(each, content)
    return out.getvalue()
