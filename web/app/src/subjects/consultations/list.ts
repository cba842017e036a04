// My consultations, kept true while one looks: listed when the line comes, changed as the service tells.
import type { Consultation } from "@yitang/sdk";
import { ref, shallowRef, watch } from "vue";
import { client } from "../../shell/client";
import { describeError } from "../../shell/errors";
import { myself } from "../../shell/session";
import { loadList, saveList } from "./cache";
import { applyChanges, filterOwn, type GroupName } from "./groups";
import { t } from "./words";

const MOST = 200;

const list = shallowRef<Consultation[]>();
const wrong = ref("");
/** The list is that of an earlier visit; of this time. 0: it is not. */
const keptMs = ref(0);
let isListening = false;
let loading: Promise<void> | undefined;

export function groupTitle(name: GroupName): string {
  switch (name) {
    case "open":
      return t("home.open");
    case "coming":
      return t("home.coming");
    default:
      return t("home.past");
  }
}

async function fetchList(): Promise<void> {
  const person = myself.value;
  const isStill = () => person === myself.value;
  try {
    const found: Consultation[] = [];
    let cursor = "";
    do {
      const page = await client.services.consultations.listConsultations({ limit: 100, cursor });
      found.push(...page.consultations);
      cursor = page.next;
    } while (cursor !== "" && found.length < MOST);
    if (!isStill()) return;
    list.value = found;
    keptMs.value = 0;
    wrong.value = "";
    saveList(person, found);
  } catch (error) {
    if (!isStill()) return;
    wrong.value = describeError(error);
    if (list.value) return;
    const kept = await loadList(person);
    if (!kept || list.value || !isStill()) return;
    list.value = kept.consultations;
    keptMs.value = kept.savedMs;
  }
}
function load(): Promise<void> {
  loading ??= fetchList().finally(() => (loading = undefined));
  return loading;
}

function startListening(): void {
  if (isListening) return;
  isListening = true;
  // Another person signs in on this page: nothing of the one before is shown.
  watch(myself, () => {
    list.value = undefined;
    keptMs.value = 0;
    wrong.value = "";
    loading = undefined;
    if (myself.value > 0) void load();
  });
  // What was told over a line that broke is not told again.
  client.connectionChanged.on(({ phase }) => phase === "online" && myself.value > 0 && void load());
  client.changes.on(({ changed, listAgain }) => {
    const own = filterOwn(changed);
    if (own.length === 0 && !listAgain) return;
    const now = listAgain || !list.value ? undefined : applyChanges(list.value, own);
    if (now) list.value = now;
    else void load();
  });
}

/** The list of this person; loaded when it is first asked for. `load` asks anew. */
export function useConsultations() {
  startListening();
  void load();
  return { list, wrong, keptMs, load };
}
