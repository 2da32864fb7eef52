"""Define what a generated program may use: time, memory, processes, files and output."""

from pydantic import Field

from balora.settings import Settings

MIB = 2**20


class Limits(Settings):
    """What one program, with every process that it starts, may use before it is ended."""

    cpu_seconds: int = Field(default=15, ge=1, le=3600)
    """Seconds of processor time of each process."""
    wall_seconds: float = Field(default=60, gt=0, le=7200)
    """Seconds from the start of the program to its end; it ends programs that wait."""
    memory_bytes: int = Field(default=1024 * MIB, ge=64 * MIB)
    """Address space of each process, and the memory that all processes of the program hold together."""
    processes: int = Field(default=16, ge=4, le=4096)
    """Processes and threads that exist at once; two of them belong to the sandbox."""
    file_bytes: int = Field(default=16 * MIB, ge=0)
    """Size of one file. All files of the program together may hold four times as much."""
    files: int = Field(default=10_000, ge=16)
    """Files and folders that exist at once."""
    output_bytes: int = Field(default=MIB, ge=1)
    """What the program may write to its standard output, and the same again to its standard error."""
