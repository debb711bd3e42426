"""An external Valkey: the keys of Langfuse in the database that the settings name, and no others."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.docker.compose import Compose

from .external import LOGIN_OF_VALKEY, VALKEY, ValkeyLogin
from .valkey import MARK, Valkey

# Queues (packages/shared/src/server/redis/redis.ts) and caches: apiKeyCache.ts, PromptService, modelMatch.ts,
# evalJobConfigCache.ts and locks of the server at v4.9.0. What counts requests ends by itself.
FAMILIES = ("bull:", "api-key:", "prompt:", "prompt_cache_epoch:", "model-match:", "langfuse:")
_PREFIX = f"{MARK}:"

# Keys that begin as one of ARGV[3...] get ARGV[2] before their name; ARGV[1] says so. A script is one step.
_SET_ASIDE = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  for place = 3, #ARGV do
    if string.sub(key, 1, #ARGV[place]) == ARGV[place] then
      redis.call('RENAME', key, ARGV[2] .. key)
      break
    end
  end
end
redis.call('SET', ARGV[1], '1')
"""
_BRING_BACK = """
local all = redis.call('KEYS', '*')
for _, key in ipairs(all) do
  for place = 3, #ARGV do
    if string.sub(key, 1, #ARGV[place]) == ARGV[place] then redis.call('UNLINK', key) break end
  end
end
for _, key in ipairs(all) do
  if string.sub(key, 1, #ARGV[2]) == ARGV[2] then redis.call('RENAME', key, string.sub(key, #ARGV[2] + 1)) end
end
redis.call('DEL', ARGV[1])
"""
_FORGET = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  if string.sub(key, 1, #ARGV[2]) == ARGV[2] then redis.call('UNLINK', key) end
end
redis.call('DEL', ARGV[1])
"""
# The password is in a file in memory: arguments are seen by every user of the host.
_CLI = f'REDISCLI_AUTH="$(cat {LOGIN_OF_VALKEY})"; export REDISCLI_AUTH; exec valkey-cli "$@"'


@dataclass(frozen=True, slots=True)
class ExternalValkey(Valkey):
    """See Valkey. What is set aside stays in the same database, under names with a prefix."""

    login: ValkeyLogin

    def __init__(self, services: Compose, login: ValkeyLogin) -> None:
        object.__setattr__(self, "services", services)
        object.__setattr__(self, "login", login)

    def set_aside(self) -> None:
        """Rename every key of Langfuse."""
        if not self.is_aside():
            self._evaluate(_SET_ASIDE)

    def bring_back(self) -> None:
        if self.is_aside():
            self._evaluate(_BRING_BACK)

    def forget(self) -> None:
        if self.is_aside():
            self._evaluate(_FORGET)

    def is_aside(self) -> bool:
        return self._run("0", "EXISTS", MARK) == "1"

    def _evaluate(self, script: str) -> None:
        self._run("0", "EVAL", script, "0", MARK, _PREFIX, *FAMILIES)

    @property
    def _service(self) -> str:
        return VALKEY

    def _argv(self, database: str, *command: str) -> list[str]:
        number = str(self.login.database)
        return ["sh", "-c", _CLI, "valkey-cli", *self.login.options(), "-e", "-n", number, *command]
