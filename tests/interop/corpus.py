"""Reads the shared corpus of values with Python's protobuf runtime and writes each value back, one line of hex each."""

import json
import sys

from google.protobuf import json_format, struct_pb2


def same(found: object, expected: object) -> bool:
    """Whether two JSON values are the same; numbers by value, booleans apart from numbers."""
    if isinstance(expected, bool) or isinstance(found, bool):
        return found is expected
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and found.keys() == expected.keys()
            and all(same(found[key], expected[key]) for key in expected)
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(map(same, found, expected))
        )
    return found == expected


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        corpus = json.load(file)
    for entry in corpus:
        value = struct_pb2.Value.FromString(bytes.fromhex(entry["wire"]))
        found = json_format.MessageToDict(value)
        if not same(found, entry["back"]):
            sys.exit(f"{entry['name']}: {found!r} is not {entry['back']!r}")
        again = json_format.ParseDict(found, struct_pb2.Value())
        print(again.SerializeToString().hex())


main(sys.argv[1])
