// Executes two workflows and reports what happens, over HTTP alone. It stays until whoever started it has
// heard everything.
import { openApi } from "./api.ts";
import { ordered, type ProducerOrder, tell } from "./messages.ts";
import { notify } from "./notify.ts";
import { releaseCheck } from "./release-check.ts";

const { api: url, key, folder } = await ordered<ProducerOrder>();
const api = openApi(url, key);
try {
  await releaseCheck(api, folder);
  await notify(api, folder);
  tell({ kind: "done", ...api.counts() });
} catch (error) {
  tell({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
}
