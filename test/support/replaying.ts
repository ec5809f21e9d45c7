import type { Client, DeliveryJson, EndpointMade, Page } from "./client.ts";

export type ReplayJson = {
  id: string;
  kind: string;
  status: string;
  requested: number;
  reason: string | null;
  from: string;
  until: string;
  position: string;
};
export type ReplayMade = { replay: ReplayJson; position: string };
export type DryRun = {
  count: number;
  bytes: number;
  firstPosition: string | null;
  lastPosition: string | null;
  estimatedMs: number;
  partial: boolean;
};

/** What a test does with endpoints and replays of a server. */
export function replaying(server: Client) {
  const pathOf = (endpointId: string) => `/v1/webhook-endpoints/${endpointId}`;
  const headed = async (path: string) => `${path}&minPosition=${(await server.get("/readyz")).body.head}`;
  return {
    endpointAt: async (url: string, more: object = {}) =>
      (await server.post<EndpointMade>("/v1/webhook-endpoints", { url, ...more })).body.endpoint.id,
    setStatus: (endpointId: string, status: string) => server.call("PATCH", pathOf(endpointId), { status }),
    /** Resolves once so many attempts were answered. */
    responded: (count: number) =>
      server.untilEvents("&type=delivery.responded", ({ length }) => length >= count),
    /** A run that ends, and owes by that. */
    async endRun(...types: string[]): Promise<string> {
      const { body } = await server.create({ input: { plan: "pro" } });
      await server.record(body.run.id, ["run.started", ...(types.length > 0 ? types : ["run.completed"])]);
      return body.run.id;
    },
    replay: (endpointId: string, body: object, headers: Record<string, string> = {}) =>
      server.post<ReplayMade>(`${pathOf(endpointId)}/replays`, body, { headers }),
    dryRun: async (endpointId: string, body: object) =>
      (await server.post<DryRun>(`${pathOf(endpointId)}/replays`, { ...body, dryRun: true })).body,
    /** The replay once this was recorded of it. */
    async until(id: string, type: "completed" | "cancelled"): Promise<ReplayJson> {
      await server.untilEvents(`&type=replay.${type}`, (all) => all.some(({ stream }) => stream === id));
      return (await server.get<ReplayJson>(`/v1/replays/${id}`)).body;
    },
    /** An endpoint's deliveries, the newest event first. */
    async deliveries(endpointId: string): Promise<DeliveryJson[]> {
      const path = await headed(`/v1/deliveries?pageSize=100&endpointId=${endpointId}`);
      return (await server.get<Page<DeliveryJson>>(path)).body.items;
    },
    listed: async (endpointId: string) =>
      (await server.get<Page<ReplayJson>>(await headed(`${pathOf(endpointId)}/replays?pageSize=100`))).body
        .items,
    resend: (deliveryId: string, key?: string) =>
      server.post<{ deliveryId: string; position: string; code?: string }>(
        `/v1/deliveries/${deliveryId}/resend`,
        undefined,
        key === undefined ? {} : { headers: { "Idempotency-Key": key } },
      ),
    cancel: (id: string) =>
      server.post<ReplayMade & { code?: string }>(`/v1/replays/${id}/cancel`, undefined),
  };
}
