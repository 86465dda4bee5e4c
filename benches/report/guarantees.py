"""What each measured system promises when it answers its caller. Figures of unlike promises are not a contest."""

SYSTEMS = [
    {
        "system": "Cidery, `InvokeAsync`",
        "on disk when the caller is answered": "the request, in one group commit",
        "synced": "yes: `fdatasync` before each answer, of the acceptance and of the outcome",
        "runs": "at least once; one outcome is recorded, once",
    },
    {
        "system": "by hand: bare log, two appends",
        "on disk when the caller is answered": "the request, appended to a file by one thread with group commit",
        "synced": "yes: `fdatasync` before each answer, of the request and of the outcome",
        "runs": "once, unless the process ends: nothing reads the file again",
    },
    {
        "system": "Restate, `send` and `attach`",
        "on disk when the caller is answered": "the request, in the log of one node (RocksDB)",
        "synced": "yes, by default (`rocksdb-disable-wal-fsync = false`): `fdatasync` for groups, 202 for 500 "
        "invocations of 16 callers",
        "runs": "at least once; steps of its journal once",
    },
    {
        "system": "JetStream always",
        "on disk when the caller is answered": "the request, in the file of a stream; the worker stores the outcome in "
        "another stream before it acknowledges the request",
        "synced": "yes (`sync_interval: always`): `fsync` for each message, 1 015 for 500 requests and outcomes",
        "runs": "at least once",
    },
    {
        "system": "JetStream",
        "on disk when the caller is answered": "the same, in the page cache",
        "synced": "no: every two minutes. A power failure loses what was acknowledged since",
        "runs": "at least once, if nothing was lost",
    },
    {
        "system": "NATS request",
        "on disk when the caller is answered": "nothing",
        "synced": "no",
        "runs": "at most once",
    },
    {
        "system": "Cidery, `Invoke`; tonic echo; bare relay",
        "on disk when the caller is answered": "nothing (`Invoke` with an idempotency key: as `InvokeAsync`)",
        "synced": "no",
        "runs": "at most once",
    },
]


def table(systems: list[dict[str, str]]) -> str:
    """A table in Markdown."""
    names = list(systems[0])
    lines = [names, ["---"] * len(names), *([system[name] for name in names] for system in systems)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
