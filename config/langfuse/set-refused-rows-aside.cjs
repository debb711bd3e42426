// Loaded by Node before Langfuse's worker (NODE_OPTIONS in compose.yaml): a row that ClickHouse refuses holds up no other.
//
// The worker writes up to 1000 rows of all projects in one insert and repeats it whole when it is refused
// (worker/src/services/ClickhouseWriter/index.ts at v4.16.0). What cannot be read ClickHouse leaves out by itself
// (config/clickhouse/users.d/langfuse.xml); it refuses the insert for what goes wrong later: the sum of ten costs that
// does not fit into a generated column, or a constraint that was added by hand. Here such an insert is halved until the
// rows at fault are alone. They are named in the log and set aside: their payload is in the events bucket.
// When every row is refused no row is at fault, and the worker goes on trying.
"use strict";

const Module = require("node:module");

const OF_ROWS = new Set([
  "ARGUMENT_OUT_OF_BOUND",
  "CANNOT_CONVERT_TYPE",
  "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
  "DECIMAL_OVERFLOW",
  "INCORRECT_DATA",
  "TOO_LARGE_ARRAY_SIZE",
  "TOO_LARGE_STRING_SIZE",
  "TYPE_MISMATCH",
  "UNKNOWN_ELEMENT_OF_ENUM",
  "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
  "VIOLATED_CONSTRAINT",
]);
// After so many refusals without a row that was taken, no single one is at fault.
const ALL_REFUSED = 10;
const IDS_SHOWN = 20;
// ClickHouse puts inserts of several workers together: what is refused may be the other one's.
const ASK_AGAIN_MS = 250;

const written = new WeakSet();
const patched = new WeakSet();

const is_of_rows = (error) => {
  const said = String(error?.message ?? error);
  // The worker shortens such rows itself.
  if (/extremely large/i.test(said)) return false;
  const kind = error?.type ?? /\(([A-Z0-9_]+)\)\s*(\(version .*)?$/.exec(said)?.[1] ?? "";
  return OF_ROWS.has(kind) || kind.startsWith("CANNOT_PARSE_");
};

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const patch = (prototype) => {
  const write = prototype?.writeToClickhouse;
  if (typeof write !== "function" || patched.has(prototype)) return;
  patched.add(prototype);
  prototype.writeToClickhouse = async function (given) {
    const left = given.records.filter((record) => !written.has(record));
    const refused = [];
    let taken = given.records.length - left.length;

    const insert = async (records) => {
      await write.call(this, { ...given, records });
      for (const record of records) written.add(record);
      taken += records.length;
    };
    const insert_in_parts = async (records) => {
      if (records.length === 0) return;
      try {
        await insert(records);
        return;
      } catch (error) {
        if (!is_of_rows(error)) throw error;
        if (records.length === 1) {
          refused.push({ record: records[0], error });
          if (taken === 0 && refused.length >= ALL_REFUSED) throw error;
          return;
        }
      }
      const middle = Math.ceil(records.length / 2);
      await insert_in_parts(records.slice(0, middle));
      await insert_in_parts(records.slice(middle));
    };

    await insert_in_parts(left);
    if (refused.length > 0 && taken === 0) throw refused[0].error;
    const aside = [];
    for (const one of refused) {
      await wait(ASK_AGAIN_MS / refused.length);
      try {
        await insert([one.record]);
      } catch (error) {
        if (!is_of_rows(error)) throw error;
        aside.push(one.record);
        written.add(one.record);
      }
    }
    if (aside.length > 0) {
      const ids = aside.slice(0, IDS_SHOWN).map(({ project_id, trace_id, span_id, id }) => ({
        project_id,
        trace_id,
        id: span_id ?? id,
      }));
      console.error(
        `ClickhouseWriter: ClickHouse refuses ${aside.length} ${given.table} record(s), set aside: ` +
          `${JSON.stringify(ids)}: ${refused[0].error?.message ?? refused[0].error}`,
      );
    }
  };
};

const load = Module._load;
Module._load = function (request, ...others) {
  const loaded = load.call(this, request, ...others);
  if (/\/ClickhouseWriter(\/index)?(\.js)?$/.test(request)) patch(loaded?.ClickhouseWriter?.prototype);
  return loaded;
};
