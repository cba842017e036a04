// Starts `yitang all --demo` on data of its own, unless YITANG_URL names one that runs.
import { WholeService, answers } from "./service";

export default async function start(): Promise<(() => Promise<void>) | void> {
  if (process.env["YITANG_URL"]) return answers(process.env["YITANG_URL"]);
  const service = await WholeService.start();
  // Browsers come by a cable that a test can cut; tests run in another process and cut it over HTTP.
  const { cable, url } = await service.cable();
  process.env["E2E_URL"] = url;
  process.env["E2E_DIRECT"] = service.url;
  process.env["E2E_PIDS"] = service.pids.join(",");
  process.env["E2E_CABLE"] = cable.control;
  return () => service.stop();
}
