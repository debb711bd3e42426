"""A Langfuse laid out as by the official compose file, on stand-in images."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx

from scripts.develop.selftest import free_port
from tests.waiting import wait_for

FILE = Path(__file__).parents[2] / "unit" / "adopt" / "official" / "docker-compose.yml"
# What images bring themselves, or stand-ins need: no service, name, bucket or prefix of the file changes.
OVERRIDE = """
services:
  langfuse-worker: &stand-in
    image: langfuse-stack-rehearsal/worker:4.59.0
    ports: !override []
    environment: &more
      TZ: UTC
      HOSTNAME: 0.0.0.0
      PORT: "3030"
      LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS: "100"
      LANGFUSE_INGESTION_CLICKHOUSE_WRITE_INTERVAL_MS: "100"
    depends_on: !reset null
  langfuse-web:
    image: langfuse-stack-rehearsal/web:4.59.0
    ports: !override ["127.0.0.1:{web}:3000"]
    environment:
      <<: *more
      PORT: "3000"
      ADMIN_API_KEY: "{admin}"
      LANGFUSE_S3_MEDIA_UPLOAD_ENDPOINT: "http://127.0.0.1:{s3}"
      LANGFUSE_S3_MEDIA_UPLOAD_INTERNAL_ENDPOINT: http://minio:9000
      LANGFUSE_INIT_ORG_ID: acme
      LANGFUSE_INIT_ORG_NAME: Acme
      LANGFUSE_INIT_PROJECT_ID: Kosmos.One
      LANGFUSE_INIT_PROJECT_NAME: Kosmos One
      LANGFUSE_INIT_PROJECT_PUBLIC_KEY: pk-lf-old
      LANGFUSE_INIT_PROJECT_SECRET_KEY: sk-lf-old
      LANGFUSE_INIT_USER_EMAIL: owner@acme.example
      LANGFUSE_INIT_USER_PASSWORD: owner-password
    depends_on: !reset null
  clickhouse:
    image: langfuse-stack-rehearsal/clickhouse:26.9
    ports: !override []
    environment: {{ TZ: UTC }}
    configs:
      - {{ source: clickhouse_user, target: /etc/clickhouse-server/users.d/user.xml }}
      - {{ source: clickhouse_config, target: /etc/clickhouse-server/config.d/config.xml }}
  minio:
    image: langfuse-stack-rehearsal/seaweedfs:4.48
    entrypoint: ["sh", "-c"]
    command: !override
      - >-
        (until printf 's3.bucket.create -name langfuse\\n' |
        weed shell -master=127.0.0.1:9333 -filer=127.0.0.1:8888; do sleep 1; done) &
        exec weed -logtostderr=true server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 -filer
        -s3 -s3.port=9000 -s3.ip.bind=0.0.0.0 -s3.port.iceberg=0 -s3.port.lance=0
        -master.telemetry=false -master.electionTimeout=1s -volume.max=100
    environment: {{ AWS_ACCESS_KEY_ID: minio, AWS_SECRET_ACCESS_KEY: miniosecret }}
    ports: !override ["127.0.0.1:{s3}:9000"]
  redis:
    image: langfuse-stack-rehearsal/valkey:8.1
    command: !override valkey-server --requirepass myredissecret --maxmemory-policy noeviction --dir /data
    ports: !override []
  postgres:
    image: langfuse-stack-rehearsal/postgres:17
    environment: {{ POSTGRES_INITDB_ARGS: --encoding=UTF8 --locale=C.UTF-8 }}
    command: postgres -c listen_addresses=* -c unix_socket_directories=/tmp -c timezone=UTC
    ports: !override []
configs:
  clickhouse_user:
    content: |
      <clickhouse><users><clickhouse>
        <password from_env="CLICKHOUSE_PASSWORD"/>
      </clickhouse></users></clickhouse>
  clickhouse_config:
    content: |
      <clickhouse><backups><allowed_path>/var/lib/clickhouse/backups</allowed_path></backups></clickhouse>
"""


@dataclass(frozen=True)
class Official:
    """An old stack; `run` calls Docker Compose in its directory."""

    directory: Path
    port: int

    @classmethod
    def at(cls, directory: Path) -> Official:
        """Write its files; `directory` has a name that no other project of the engine has."""
        directory.mkdir()
        shutil.copy(FILE, directory)
        web, s3 = free_port(), free_port()
        override = OVERRIDE.format(web=web, s3=s3, admin="ad" * 16)
        (directory / "docker-compose.override.yml").write_text(override)
        (directory / ".env").write_text("SALT='a$b \"c\"=+/'\nNEXTAUTH_SECRET=Zm9v+/b4ckZ2FyeQ==\n"
                                        f"ENCRYPTION_KEY={'0123456789abcdef' * 4}\n")  # fmt: skip
        return cls(directory, web)

    def run(self, *arguments: str) -> str:
        """Return what Docker Compose says."""
        argv = ["docker", "compose", *arguments]
        done = subprocess.run(argv, cwd=self.directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(self) -> httpx.Client:
        """Return a client with the key that it was made with."""
        auth = ("pk-lf-old", "sk-lf-old")
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", auth=auth, timeout=30)

    def start(self) -> None:
        """Start it and wait until web answers."""
        self.run("up", "--detach")
        with self.client() as client:

            def answers() -> bool:
                try:
                    return client.get("/api/public/projects").status_code == 200
                except httpx.HTTPError:
                    return False

            wait_for(answers, lambda: self.run("logs", "--tail", "30"), every_s=0.5)
