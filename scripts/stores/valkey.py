"""Valkey of a compose stack: queues and key caches, set aside while a restore proves itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scripts.docker.compose import Compose

SERVICE = "valkey"
MARK = "langfuse-stack:before-restore"
"""Stands in the database that was set aside."""

# FLUSHDB is renamed away (config/valkey/valkey.conf): one of them in a wrong shell empties all queues.
_CLEAR = "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('UNLINK', key) end"

# A step of the search: the next cursor, then names and values of some keys as JSON.
_SOME = """
local scanned = redis.call('SCAN', ARGV[1], 'COUNT', 200)
local lines = {scanned[1]}
local read = {string = {'GET'}, hash = {'HGETALL'}, list = {'LRANGE', '0', '-1'}, set = {'SMEMBERS'},
  zset = {'ZRANGE', '0', '-1'}, stream = {'XRANGE', '-', '+'}}
for _, key in ipairs(scanned[2]) do
  local how = read[redis.call('TYPE', key).ok]
  local value = how and redis.call(how[1], key, unpack(how, 2)) or ''
  table.insert(lines, cjson.encode({key, value}))
end
return lines
"""


@dataclass(frozen=True, slots=True)
class Valkey:
    """The bundled Valkey. Langfuse uses database 0; what is set aside is in database 1."""

    services: Compose

    def set_aside(self) -> None:
        """Exchange database 0, whatever is in it, for an empty one."""
        if self.is_aside():
            return
        self._clear("1")
        self._run("0", "SET", MARK, "1")
        self._run("0", "SWAPDB", "0", "1")

    def bring_back(self) -> None:
        """Undo `set_aside`, if it was done. May be repeated."""
        if self.is_aside():
            self._clear("0")
            self._run("0", "SWAPDB", "0", "1")
        self._run("0", "DEL", MARK)

    def forget(self) -> None:
        """Remove what was set aside."""
        if self.is_aside():
            self._clear("1")

    def everything(self) -> Iterator[bytes]:
        """Yield name and value of every key of database 0 as JSON, some hundred in a step."""
        cursor = b"0"
        while True:
            argv = self._argv("0", "EVAL", _SOME, "0", cursor.decode())
            cursor, *lines = self.services.read(
                self._service, argv, lambda stream: stream.read()
            ).splitlines()
            yield from lines
            if cursor == b"0":
                return

    def is_aside(self) -> bool:
        """Return whether something is set aside."""
        return self._run("1", "EXISTS", MARK) == "1"

    def _clear(self, database: str) -> None:
        self._run(database, "EVAL", _CLEAR, "0")

    def _run(self, database: str, *command: str) -> str:
        return self.services.execute(self._service, self._argv(database, *command)).strip()

    @property
    def _service(self) -> str:
        """The container in which its client runs."""
        return SERVICE

    def _argv(self, database: str, *command: str) -> list[str]:
        return ["valkey-cli", "-e", "-n", database, *command]
