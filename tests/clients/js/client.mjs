// What an application in JavaScript does with Langfuse: traces, scores, prompts, datasets. Prints the ids as JSON.
import { LangfuseClient } from "@langfuse/client";
import { LangfuseSpanProcessor } from "@langfuse/otel";
import { propagateAttributes, startActiveObservation, startObservation } from "@langfuse/tracing";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const processor = new LangfuseSpanProcessor();
const provider = new NodeTracerProvider({ spanProcessors: [processor] });
provider.register();
const langfuse = new LangfuseClient();

const { traceId, generationId } = await propagateAttributes(
  { userId: "athena", sessionId: "js-session", tags: ["js"], traceName: "js-trace", metadata: { region: "eu" } },
  () =>
    startActiveObservation("js-root", async (root) => {
      root.update({ input: { question: "Where is Athens?" } });
      const generation = startObservation(
        "js-chat",
        { model: "gpt-4o", input: [{ role: "user", content: "Where?" }], usageDetails: { input: 1000, output: 100 } },
        { asType: "generation" },
      );
      generation.update({ output: "In Greece" }).end();
      root.update({ output: "In Greece" });
      return { traceId: root.traceId, generationId: generation.id };
    }),
);
await processor.forceFlush();

langfuse.score.create({ traceId, name: "js-quality", value: 0.75 });
langfuse.score.create({ traceId, observationId: generationId, name: "js-tone", value: "warm", dataType: "CATEGORICAL" });
await langfuse.score.flush();

await langfuse.prompt.create({ name: "js/greeting", type: "text", prompt: "Hello {{name}}", labels: ["production"] });
const text = await langfuse.prompt.get("js/greeting", { cacheTtlSeconds: 0 });
await langfuse.prompt.create({
  name: "js/chat",
  type: "chat",
  prompt: [
    { role: "system", content: "You are {{who}}" },
    { type: "placeholder", name: "history" },
  ],
  labels: ["production"],
});
const chat = await langfuse.prompt.get("js/chat", { type: "chat", cacheTtlSeconds: 0 });

await langfuse.api.datasets.create({ name: "js-capitals", metadata: { from: "js" } });
for (const [country, capital] of [["Greece", "Athens"], ["Italy", "Rome"]]) {
  await langfuse.api.datasetItems.create({ datasetName: "js-capitals", input: { country }, expectedOutput: capital });
}
const dataset = await langfuse.dataset.get("js-capitals");
const capitals = { Greece: "Athens", Italy: "Milan" };
const experiment = await dataset.runExperiment({
  name: "js-experiment",
  task: async ({ input }) => capitals[input.country],
  evaluators: [
    async ({ output, expectedOutput }) => ({ name: "js-exact", value: output === expectedOutput ? 1 : 0 }),
  ],
});
await processor.forceFlush();
await langfuse.shutdown();
await provider.shutdown();

console.log(
  JSON.stringify({
    traceId,
    generationId,
    greeting: text.compile({ name: "Athena" }),
    chat: chat.compile({ who: "Hermes" }, { history: [{ role: "user", content: "Hi" }] }),
    experiment: experiment.itemResults.map((one) => [one.input ?? one.item.input, one.evaluations[0].value]),
    experimentTraceIds: experiment.itemResults.map((one) => one.traceId),
  }),
);
