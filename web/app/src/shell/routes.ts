// The pages of all subjects, and who may go where.
import { setPages } from "../kit/router";
import { restore } from "./session";
import { subjects } from "./subjects";

export function installRoutes(): void {
  const nowhere = { path: "", name: "nowhere", component: () => import("./Nowhere.vue"), meta: { open: true } };
  setPages(subjects.flatMap((subject) => subject.routes ?? []), nowhere, async (to) => {
    if (to.meta.open || (await restore()) !== "out") return undefined;
    // A link straight to a page survives signing in.
    const query: Record<string, string> = to.fullPath === "/" ? {} : { to: to.fullPath };
    return { name: "sign-in", query };
  });
}
