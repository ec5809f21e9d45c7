import type { AddressInfo } from "node:net";
import express from "express";
import { z } from "zod";

/** What an API costs that does nothing: bare Express, its own JSON parser, a zod schema, and the body sent
 *  back. */
const Name = z.string().min(1).max(255);
const NewRun = z.strictObject({
  workflow: Name,
  input: z.unknown().optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
});
const NewEvent = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("run.started") }),
  z.strictObject({
    type: z.literal("run.completed"),
    data: z.strictObject({ output: z.unknown() }).optional(),
  }),
]);

const app = express();
app.use(express.json());
app.post("/v1/runs", (req, res) => void res.status(201).json(NewRun.parse(req.body)));
app.post("/v1/runs/:runId/events", (req, res) => void res.status(201).json(NewEvent.parse(req.body)));
app.get("/echo", (_req, res) => void res.json({ ok: true }));
const server = app.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.once("disconnect", () => process.exit(0));
