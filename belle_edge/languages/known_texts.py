"""What argparse, Python and the system say, as far as people meet it: marked here, since their sources are not ours."""

from __future__ import annotations

from .current import msg

ARGPARSE = (
    msg("expected one argument"),
    msg("expected at most one argument"),
    msg("expected at least one argument"),
    msg("invalid {kind} value: {value}"),
    msg("invalid choice: {value} (choose from {choices})"),
    msg("the following arguments are required: {names}"),
    msg("one of the arguments {names} is required"),
    msg("not allowed with {name}"),
    msg("unrecognized arguments: {words}"),
)
PYTHON = (
    msg("[Errno {number}] {reason}: {file}"),
    msg("[Errno {number}] {reason}"),
    msg("cannot allocate memory"),
    msg("embedded null byte"),
)
SYSTEM = (  # of the C library, as OSError quotes them
    msg("Address already in use"),
    msg("Broken pipe"),
    msg("Cannot allocate memory"),
    msg("Cannot assign requested address"),
    msg("Connection refused"),
    msg("Directory not empty"),
    msg("Disk quota exceeded"),
    msg("File exists"),
    msg("File name too long"),
    msg("File too large"),
    msg("Input/output error"),
    msg("Is a directory"),
    msg("Name or service not known"),
    msg("No space left on device"),
    msg("No such file or directory"),
    msg("Not a directory"),
    msg("Operation not permitted"),
    msg("Permission denied"),
    msg("Read-only file system"),
    msg("Temporary failure in name resolution"),
    msg("Too many levels of symbolic links"),
    msg("Too many open files"),
)
