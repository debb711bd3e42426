#!/usr/bin/env bash
# Step of action.yml: start the stack of this checkout, hand URL and keys to the rest of the job, sum it up.
# Takes ENGINE, LANGFUSE_PORT, STACK_SIZE, NAME, CONTENT and PROJECT, and the files that GitHub names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -n "$CONTENT" ]; then
  cp -R "$GITHUB_WORKSPACE/$CONTENT/." config/
fi
make --no-print-directory up ${NAME:+COMPOSE_PROJECT_NAME="$NAME"}
keys=$(make --no-print-directory credentials PROJECT="$PROJECT")
while IFS='=' read -r name value; do
  case $name in
    LANGFUSE_BASE_URL) output=base-url url=$value ;;
    LANGFUSE_PUBLIC_KEY) output=public-key public_key=$value ;;
    LANGFUSE_SECRET_KEY) output=secret-key && echo "::add-mask::$value" ;;
    *) continue ;;
  esac
  echo "$output=$value" >>"$GITHUB_OUTPUT"
  echo "$name=$value" >>"$GITHUB_ENV"
done <<<"$keys"
cat >>"$GITHUB_STEP_SUMMARY" <<END
### Langfuse

| | |
|---|---|
| engine | $ENGINE |
| URL | $url |
| public key | \`$public_key\` |
| started in | $SECONDS s |
END
