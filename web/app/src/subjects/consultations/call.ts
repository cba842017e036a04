// The call to all invited: shown once, on whatever page one is, until it is answered or put away.
import type { Changes, ConsultationBrief } from "@yitang/sdk";
import { computed, onUnmounted, ref, shallowRef, watch } from "vue";
import { client } from "../../shell/client";
import { filterOwn, isCallDue } from "./groups";
import { useConsultations } from "./list";

type Called = Pick<ConsultationBrief, "id" | "title" | "state" | "calledMs" | "opensMs" | "version">;

const KEY = "yitang-calls-seen";
const SEEN_MOST = 50;

const keyOf = ({ id, calledMs }: Pick<Called, "id" | "calledMs">) => `${id} ${calledMs}`;
const calls = shallowRef(new Map<string, Called>());
const seen = ref<string[]>(loadDismissed());

function loadDismissed(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.map(String) : [];
  } catch {
    return [];
  }
}

/** The banner's consultation, if there is one; and how it is put away. */
export function useCall() {
  const { list } = useConsultations();
  const addCall = (called: Called) => {
    const before = calls.value.get(called.id);
    if (before && before.calledMs >= called.calledMs && before.version >= called.version) return;
    calls.value = new Map(calls.value).set(called.id, called);
  };
  const addUrgent = ({ changed }: Changes) => {
    for (const { urgent, brief } of filterOwn(changed)) if (urgent && brief.case === "consultation") addCall(brief.value);
  };
  onUnmounted(client.changes.on(addUrgent));
  // Who signs in after the call finds it in the list; and what has ended since is not called for.
  watch(list, (all) => all?.forEach((one) => one.calledMs > 0n && addCall(one)), { immediate: true });
  const call = computed(() => {
    const nowMs = client.now();
    return [...calls.value.values()]
      .filter((one) => !seen.value.includes(keyOf(one)) && isCallDue(one, nowMs))
      .sort((a, b) => Number(b.calledMs - a.calledMs))[0];
  });
  return { call };
}

export function dismissCall(called: Pick<Called, "id" | "calledMs">): void {
  seen.value = [...seen.value.filter((key) => key !== keyOf(called)), keyOf(called)].slice(-SEEN_MOST);
  try {
    localStorage.setItem(KEY, JSON.stringify(seen.value));
  } catch {
    // A private window: it is shown once more with the next visit.
  }
}
