"""The head of a GGUF file: is it whole, what does it need? Reads a few kilobytes, never the weights."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pipecatapp.errors import ConfigurationError

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
# Bytes and weights of one block, for each ggml tensor type that files are written in.
_BLOCKS = {
    0: (4, 1), 1: (2, 1), 2: (18, 32), 3: (20, 32), 6: (22, 32), 7: (24, 32), 8: (34, 32), 10: (84, 256),
    11: (110, 256), 12: (144, 256), 13: (176, 256), 14: (210, 256), 15: (292, 256), 20: (18, 32), 23: (136, 256),
    24: (1, 1), 25: (2, 1), 26: (4, 1), 27: (8, 1), 28: (8, 1), 30: (2, 1),
}  # fmt: skip
# As llama.cpp splits a model: it is told the first part and finds the others beside it.
_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})")
_MAX_PARTS = 1000
# No real header comes near; a corrupt length must not become an allocation.
_MAX_ITEMS = 10_000_000


@dataclass(frozen=True, slots=True)
class ModelHead:
    """What an engine must know before it loads the file."""

    architecture: str
    name: str
    context_tokens: int
    kv_bytes_per_token: int
    head_size: int
    size: int


def split_parts(path: Path) -> tuple[Path, ...]:
    """The files that a model of this name consists of, the first one first; the file itself where it is whole.

    Raises:
        ConfigurationError: its name says that it is a part, and of how many makes no sense.
    """
    named = _PART.fullmatch(path.stem)
    if named is None or path.suffix != ".gguf":
        return (path,)
    number, count = int(named[2]), int(named[3])
    if not 1 <= number <= count <= _MAX_PARTS:
        raise ConfigurationError(f"the model {path} calls itself part {number} of {count}; give it its right name")
    return tuple(path.with_name(f"{named[1]}-{part:05}-of-{count:05}.gguf") for part in range(1, count + 1))


def whole_name(path: Path) -> str:
    """The name of a model without its ending, and without the number of a part."""
    named = _PART.fullmatch(path.stem)
    return named[1] if named else path.stem


def read_head(path: Path) -> ModelHead:
    """Read and check a GGUF, with the other parts where it is one of several. ``size`` is that of all of them.

    Raises:
        ConfigurationError: a file is missing, no GGUF, or cut short.
    """
    parts = split_parts(path)
    missing = [part.name for part in parts if not part.is_file()] if len(parts) > 1 else []
    if missing:
        raise ConfigurationError(
            f"the model {whole_name(path)} has {len(parts)} parts, and {', '.join(missing[:5])} "
            f"{'is' if len(missing) == 1 else 'are'} not in {path.parent}; put all of them there"
        )
    first, *others = [read_part(part) for part in parts]
    try:
        return _describe(first.values, first.size + sum(part.size for part in others))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"the model {path} is damaged ({error}); remove it and pull it again") from error


@dataclass(frozen=True, slots=True)
class Part:
    """What one file says of itself; it is whole.

    Attributes:
        values: of its header, by their keys.
        size: in bytes.
        tensors: the bytes that each takes in the file, by name.
    """

    values: dict[str, Any]
    size: int
    tensors: dict[str, int]


def read_part(path: Path) -> Part:
    """Read and check one file.

    Raises:
        ConfigurationError: it is no GGUF, or cut short.
    """
    try:
        with path.open("rb") as file:
            return _read_values(path, file)
    except OSError as error:
        raise ConfigurationError(f"the model {path} cannot be read: {error.strerror}") from error
    except (struct.error, ValueError, KeyError, UnicodeDecodeError, MemoryError) as error:
        raise ConfigurationError(f"the model {path} is damaged ({error}); remove it and pull it again") from error


def _read_values(path: Path, file: BinaryIO) -> Part:
    size = path.stat().st_size
    if file.read(4) != b"GGUF":
        raise ConfigurationError(f"{path} is not a GGUF model; remove it and pull it again")
    version, tensors, items = struct.unpack("<IQQ", file.read(20))
    if version not in (2, 3) or tensors > _MAX_ITEMS or items > _MAX_ITEMS:
        raise ValueError(f"GGUF version {version}")
    values: dict[str, Any] = {}
    for _ in range(items):
        key = _string(file)
        values[key] = _value(file, _unpack(file, "<I"))
    end, offsets = 0, {}
    for _ in range(tensors):
        name = _string(file)
        shape = [_unpack(file, "<Q") for _ in range(_unpack(file, "<I"))]
        kind, offset = _unpack(file, "<I"), _unpack(file, "<Q")
        weights = 1
        for length in shape:
            weights *= length
        offsets[name] = offset
        bytes_per_block, block = _BLOCKS.get(kind, (0, 1))
        end = max(end, offset + weights // block * bytes_per_block)
    alignment = int(values.get("general.alignment", 32))
    start = -(-file.tell() // alignment) * alignment
    if size < start + end:
        raise ValueError(f"{size} bytes, but {start + end} are announced")
    return Part(values, size, _lengths(offsets, size - start))


def _lengths(offsets: dict[str, int], end: int) -> dict[str, int]:
    """What each tensor takes, up to where the next one begins: also of types that nobody has heard of here."""
    order = sorted(offsets, key=lambda name: offsets[name])
    ends = [*(offsets[name] for name in order[1:]), end]
    return {name: ends[i] - offsets[name] for i, name in enumerate(order)}


def _describe(values: dict[str, Any], size: int) -> ModelHead:
    arch = str(values["general.architecture"])

    def number(key: str, default: int) -> int:
        value = values.get(f"{arch}.{key}", default)
        return int(max(value) if isinstance(value, list) else value)

    heads = max(1, number("attention.head_count", 1))
    kv_heads = number("attention.head_count_kv", heads)
    head_size = number("attention.key_length", number("embedding_length", 0) // heads)
    return ModelHead(
        architecture=arch,
        name=str(values.get("general.name", "")),
        context_tokens=number("context_length", 2048),
        kv_bytes_per_token=number("block_count", 0) * kv_heads * head_size * 2 * 2,
        head_size=head_size,
        size=size,
    )


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        inner, count = _unpack(file, "<I"), _unpack(file, "<Q")
        if count > _MAX_ITEMS:
            raise ValueError(f"a list of {count} items")
        return [_value(file, inner) for _ in range(count)]
    return _unpack(file, _SCALARS[kind])


def _string(file: BinaryIO) -> str:
    length = _unpack(file, "<Q")
    if length > _MAX_ITEMS:
        raise ValueError(f"a text of {length} bytes")
    data = file.read(length)
    if len(data) != length:
        raise ValueError("it ends in its header")
    return data.decode("utf-8", "replace")


def _unpack(file: BinaryIO, layout: str) -> Any:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))[0]
