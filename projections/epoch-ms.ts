const ZERO = "0".charCodeAt(0);
let minute = "";
let minuteMs = 0;

/** A recorded instant, `YYYY-MM-DDTHH:mm:ss.sssZ`, in epoch milliseconds. `Date.parse` takes ten times as
 *  long, and instants of a log come minute by minute. */
export function epochMs(instant: string): number {
  if (!instant.startsWith(minute) || minute === "") {
    minute = instant.slice(0, 17);
    minuteMs = Date.parse(`${minute}00.000Z`);
  }
  const digit = (at: number): number => instant.charCodeAt(at) - ZERO;
  return minuteMs + digit(17) * 10_000 + digit(18) * 1000 + digit(20) * 100 + digit(21) * 10 + digit(22);
}
