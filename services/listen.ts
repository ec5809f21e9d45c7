import { parseArgs } from "node:util";
import { urgencies } from "../projections/deliveries/deliveries.table.ts";
import { lossTypes, namesType, owingTypes, runOwingTypes } from "../shared/domain/endpoint/events.ts";
import { parseInstant } from "../shared/domain/event.ts";
import { systemClock } from "../shared/platform/clock.ts";
import { runCommand } from "../shared/platform/command.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { wireIdOf } from "../shared/verification/ids.ts";
import { generateSecret, InvalidSecret, parseSecret, publicKeyOf } from "../shared/webhooks/signature.ts";
import { parseAllowList } from "../shared/webhooks/targets.ts";
import { renderDelivery } from "./dispatcher/body.ts";
import { openPoster } from "./dispatcher/post.ts";
import { requestHeaders } from "./dispatcher/request-headers.ts";
import { openLedgerApi } from "./listen/ledger-api.ts";
import { type Listening, listen, type Sent, type Told } from "./listen/listen.ts";

const usage =
  "usage: npm run listen -- --to <url> --key <api key> [--url <ledger>] " +
  "[--from earliest|now|<position>|<time>] [--types run.failed,run.*,…] [--recipient-runs] " +
  "[--body-version 1|2] [--secret whsec_…]";
const BODY_BYTES_MAX = 256 * 1024;
/** What happens to deliveries is not among what the API tells event by event. */
const told = owingTypes.filter((type) => !lossTypes.includes(type));

/** `npm run listen`: sends what happens in a ledger to a place of a developer's, from wherever it is asked to
 *  begin. It reads the API and nothing else, and leaves no trace in the ledger. */
await runCommand(async ({ config, args, say, note }) => {
  const { url = `http://127.0.0.1:${config.port}`, key, secret, ...asked } = parsed(args);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  // It is the developer's own network.
  const allow = parseAllowList(["0.0.0.0/0", "::/0"]);
  const poster = openPoster({ allow, socketsMax: 2, socketsPerOriginMax: 2 });

  async function send(told: Told): Promise<Sent> {
    const { delivery, endpoint, event, endpoints, historyOf } = told;
    const { stream: source, revision, position, meta } = event;
    const workspace = meta.workspace ?? "";
    const place = { delivery, endpoint, source, revision, position, workspace };
    const due = { ...place, event: event.id, urgency: urgencies.first };
    const form = { bodySha256: null, requestedAsOf: null };
    const rendered = await renderDelivery({ historyOf, endpoints, bytesMax: BODY_BYTES_MAX }, due, form);
    if (!rendered) throw new StartupError(`nothing can be told of ${event.id}`);
    const headers = requestHeaders({
      endpoint: { policy: {} },
      secrets: [secret],
      custom: {},
      id: wireIdOf(delivery),
      timestampSeconds: Math.floor(systemClock.now() / 1000),
      body: rendered.body,
      position,
    });
    return poster.post({ url: asked.to, headers, body: rendered.body });
  }

  say(`listening to ${url} for ${asked.to}, signed with ${publicKeyOf(secret) ?? secret}`);
  try {
    const deps = { api: openLedgerApi(url, key), clock: systemClock, send, say, note };
    const position = await listen(deps, asked, stop.signal);
    say(`go on with --from ${position}`);
    return 0;
  } finally {
    poster.close();
  }
});

function parsed(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        to: { type: "string" },
        key: { type: "string" },
        url: { type: "string" },
        from: { type: "string", default: "now" },
        types: { type: "string" },
        "recipient-runs": { type: "boolean", default: false },
        "body-version": { type: "string", default: "1" },
        secret: { type: "string" },
      },
    });
    const { to, key, url, "body-version": bodyVersion } = values;
    const isUrl = (text: string | undefined) => /^https?:$/.test(URL.parse(text ?? "")?.protocol ?? "");
    const from = fromOf(values.from);
    const types = typesOf(values.types);
    if (to === undefined || key === undefined || !isUrl(to) || !from || !types || !/^[12]$/.test(bodyVersion))
      throw new TypeError("something is missing, or is not what it should be");
    if (url !== undefined && !isUrl(url)) throw new TypeError("the ledger has no such URL");
    const secret = values.secret === undefined ? generateSecret("v1") : parseSecret(values.secret).secret;
    const asked = { to, from, types, recipientRuns: values["recipient-runs"] };
    const where = url === undefined ? {} : { url };
    return { ...asked, ...where, bodyVersion: Number(bodyVersion), key, secret };
  } catch (error) {
    if (error instanceof InvalidSecret) throw new StartupError(error.message, { cause: error });
    if (!(error instanceof TypeError)) throw error;
    throw new StartupError(usage, { cause: error });
  }
}

function fromOf(text: string): Listening["from"] | undefined {
  if (text === "earliest" || text === "now") return text;
  if (/^\d{1,19}$/.test(text)) return { after: text };
  const since = parseInstant(text);
  return since === undefined ? undefined : { since };
}

/** The types that are named, one by one or as patterns; without any what an endpoint hears of by itself. */
function typesOf(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return runOwingTypes;
  const patterns = text.split(",");
  const named = (pattern: string) => told.filter((type) => namesType(pattern, type));
  if (patterns.some((pattern) => named(pattern).length === 0)) return undefined;
  return [...new Set(patterns.flatMap(named))];
}
