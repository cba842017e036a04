// Starts `yitang all --demo` on data of its own for each worker, unless YITANG_URL names one that runs.
import type { FullConfig } from "@playwright/test";
import type { Home } from "./page";
import { WholeService, waitForAnswer } from "./service";

export default async function start({ workers }: FullConfig): Promise<(() => Promise<void>) | void> {
  const named = process.env["YITANG_URL"]?.replace(/\/$/, "");
  if (named) {
    process.env["E2E_HOMES"] = JSON.stringify([{ url: named, direct: named } satisfies Home]);
    return waitForAnswer(named);
  }
  const services = await Promise.all(Array.from({ length: workers }, () => WholeService.start()));
  // Browsers come by a cable that a test can cut; tests run in other processes and cut it over HTTP.
  const homes = services.map(async (service): Promise<Home> => {
    const { cable, url } = await service.cable();
    return { url, direct: service.url, cable: cable.control };
  });
  process.env["E2E_HOMES"] = JSON.stringify(await Promise.all(homes));
  return async () => void (await Promise.all(services.map((service) => service.stop())));
}
