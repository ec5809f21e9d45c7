import type { RowReader } from "../projections/row-store.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { tellingOfLoss } from "./alone.ts";
import type { Parts } from "./parts.ts";
import { createProgress, type Progress } from "./projector/progress.ts";
import { openProjectorThread } from "./projector/thread.ts";
import { openRows } from "./rows.ts";

type Deps = Pick<Parts, "does" | "config" | "postgres" | "bus" | "log" | "fault" | "metrics" | "onFatal">;

/** The views as this process reads them, and the projector where it runs here. */
export async function openViews(deps: Deps) {
  const { does, config, postgres, bus, log, fault, metrics, onFatal } = deps;
  const closing: (() => Promise<unknown> | unknown)[] = [];
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  try {
    let progress: Progress = createProgress();
    let onWait = () => {};
    if (does.has("projector")) {
      const projector = openProjectorThread({
        config,
        onSaid(said) {
          if (said.kind === "replaced") return tellingOfLoss({ log, metrics })("projector");
          if (said.kind === "lost") return fault("projector.lost")(new Error(said.message));
          if (said.kind === "refused") onFatal(new StartupError(said.message));
          else if (said.kind === "fault") metrics.restarts.inc({ follower: "projector" });
          else if (said.kind === "parked") metrics.parked.inc();
          log[said.kind === "served" ? "info" : "error"](said, `projector.${said.kind}`);
        },
        onEnd: onFatal,
      });
      closing.push(() => projector.close());
      closing.push(bus.subscribe(projector.wake));
      await projector.started;
      progress = projector.progress;
      onWait = projector.hurry;
    }
    const rows: RowReader = await openRows(config, postgres);
    closing.push(() => rows.close());
    if (postgres) {
      const { openPostgresProgress } = await import("./projector/postgres-progress.ts");
      const { viewsChannel } = await import("../projections/postgres-views.ts");
      const watched = await openPostgresProgress(postgres, {
        views: () => rows.views(),
        channel: viewsChannel(postgres.schema),
        onFault: fault("progress.faulted"),
        onWait,
      });
      closing.push(() => watched.close());
      progress = watched;
    }
    return { rows, progress, close };
  } catch (error) {
    await close();
    throw error;
  }
}
