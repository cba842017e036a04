// The one client of this page.
import { Client } from "@yitang/sdk";

export const client = new Client({ name: "yitang-web 0.1" });

// The device woke up, or the network came back: no need to wait for a timer.
for (const event of ["online", "pageshow", "focus"]) addEventListener(event, () => client.wake());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") client.wake();
});
