#!/bin/sh
## Make the buckets that are missing and set after how many days an event expires (0: never). Changes nothing twice.
## Environment: BUCKETS (names with blanks between), EVENTS_BUCKET, EVENTS_EXPIRE_DAYS.
set -eu

shell() {
  printf '%s\n' "$1" | weed shell -master=127.0.0.1:9333 -filer=127.0.0.1:8888
}

present=$(shell s3.bucket.list)
for bucket in $BUCKETS; do
  case "$present" in
    *"  $bucket	"*) echo "bucket $bucket is there" ;;
    *) shell "s3.bucket.create -name $bucket" ;;
  esac
done

## Whole days, of what is written from now on.
if [ "$EVENTS_EXPIRE_DAYS" -gt 0 ]; then
  ttl="-ttl=${EVENTS_EXPIRE_DAYS}d"
else
  ttl="-delete"
fi
shell "fs.configure -locationPrefix=/buckets/$EVENTS_BUCKET/ $ttl -apply" >/dev/null
echo "events expire after $EVENTS_EXPIRE_DAYS days (0: never)"
