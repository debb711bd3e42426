// Loaded by Node before Langfuse's worker (NODE_OPTIONS in compose.yaml): ends the process when a stop is complete.
//
// On SIGTERM the worker finishes its jobs, writes what it holds in memory and says "Shutdown complete, exiting process...".
// It does not exit (worker/src/utils/shutdown.ts at v4.16.0): Docker would wait for the whole grace period, then kill it.
// Here the end of that handler, whatever it logs, is the end of the process. A handler that fails ends it with 1.
"use strict";

const { isMainThread } = require("node:worker_threads");

if (isMainThread) {
  const signals = new Set(["SIGTERM", "SIGINT"]);
  const under_way = new Set();
  let code = 0;

  const exit_when_all_are_done = () => {
    // What the handler wrote last is flushed within this time.
    if (under_way.size === 0) setTimeout(() => process.exit(code), 100);
  };

  for (const method of ["on", "once", "addListener", "prependListener", "prependOnceListener"]) {
    const original = process[method];
    process[method] = function (name, listener) {
      if (!signals.has(name)) return original.call(this, name, listener);
      const awaited = function (...given) {
        const done = new Promise((resolve) => resolve(listener.apply(this, given)));
        under_way.add(done);
        done
          .catch((error) => {
            console.error(error);
            code = 1;
          })
          .finally(() => {
            under_way.delete(done);
            exit_when_all_are_done();
          });
      };
      // process.off(name, listener) finds it by this.
      awaited.listener = listener;
      return original.call(this, name, awaited);
    };
  }
}
