"""Start the worker again when the command that stopped it is killed: a process that outlives it.

Run as a file, with nothing but the standard library: MARK LOCK COMMAND... It waits for the end of its input.
A word on it means that the command has done so itself; none, that it is gone. The lock is that of all
commands (`only_one_command`): one that has come since may have started the worker, and removed the mark.
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path


def main(mark: Path, lock: Path, command: list[str]) -> int:
    """Wait, and run the command when it is needed; return its exit code. The mark stays when it fails."""
    if sys.stdin.buffer.read():
        return 0
    with lock.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not mark.exists():
            return 0
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            mark.unlink()
        return done.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
