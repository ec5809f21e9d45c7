import { describe, expect, it, onTestFinished } from "vitest";
import { UnusableLog } from "../../shared/event-store/event-store.ts";
import { openSqliteEventReader } from "../../shared/event-store/sqlite-event-reader.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { runScript } from "../support/child.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

describe("the lock of a log", () => {
  it("refuses a second process with one clear line, until the first is gone, however it went", async () => {
    const folder = temporaryFolder();
    const first = runScript("append-child.ts", [folder]);
    await first.says("open");
    first.tell("append");
    await first.says("recorded");

    const second = runScript("append-child.ts", [folder]);
    expect(await second.says("refused")).toBe(
      `refused another process is writing the log in ${folder}: only one may`,
    );
    await second.gone;
    expect(second.process.exitCode).toBe(1);

    first.process.kill("SIGKILL");
    await first.gone;
    const third = runScript("append-child.ts", [folder]);
    await third.says("open");
    third.tell("append");
    await third.says("recorded");
    third.tell("end");
    await third.says("closed");
    const store = openSqliteEventStore(folder);
    onTestFinished(() => store.close());
    expect(await store.head()).toBe(2n);
  });

  it("refuses a second store in the same process, until the first is closed", async () => {
    const folder = temporaryFolder();
    const store = openSqliteEventStore(folder);
    expect(() => openSqliteEventStore(folder)).toThrow(UnusableLog);
    await store.close();
    await openSqliteEventStore(folder).close();
  });

  it("lets readers in", async () => {
    const folder = temporaryFolder();
    const store = openSqliteEventStore(folder);
    onTestFinished(() => store.close());
    const reader = openSqliteEventReader(folder);
    expect(await reader.head()).toBe(0n);
    await reader.close();
  });
});
