import { deliveryExample, endpointExample } from "./examples.ts";

export const replayExample = {
  id: "replay_01m7xy96c0exs970rd7f9qt4vh",
  endpointId: endpointExample.id,
  endpointRevision: 0,
  kind: "failed",
  from: "4711",
  until: "9000",
  perSecondMax: null,
  status: "running",
  position: "5200",
  requested: 100,
  reason: null,
  revision: 1,
  createdAt: "2026-07-01T12:00:00.000Z",
  updatedAt: "2026-07-01T12:00:01.000Z",
};

export const dryRunExample = {
  count: 1200,
  bytes: 1_440_000,
  firstPosition: "4713",
  lastPosition: "8990",
  estimatedMs: 12_000,
  from: "4711",
  until: "9000",
  partial: false,
};

export const explainedExample = {
  deliveryId: deliveryExample.id,
  endpointId: endpointExample.id,
  status: "open",
  causes: [
    {
      position: "13",
      at: "2026-07-01T12:00:03.250Z",
      event: deliveryExample.event.id,
      what: "owed",
      because: "its types name run.completed, as of its revision 0",
    },
  ],
  next: { at: "2026-07-01T12:00:03.250Z", waitsFor: "attempt 1" },
};
