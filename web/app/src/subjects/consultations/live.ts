// The room of a consultation: what the room's log does not say is asked of the service, and asked again when the log tells
// that it has changed.
import { type Consultation, ConsultationState, RefusalCode, RefusalError } from "@yitang/sdk";
import { computed, onUnmounted, ref, shallowRef, watch } from "vue";
import { useRoom } from "../../room/room";
import { client } from "../../shell/client";
import { describeError } from "../../shell/errors";
import { type PlainConsultation, fromPlain, toPlain } from "./cache";

/** For as long as the component lives. */
export function useConsultationRoom(id: string) {
  const consultation = shallowRef<Consultation>();
  const wrong = ref("");
  const live = useRoom(id, () => consultation.value && toPlain(consultation.value));
  let askedVersion = -1;
  /** What an earlier visit had kept. */
  let kept: Consultation | undefined;
  const cached = live.cached.then((found) => {
    kept = found && fromPlain(found.about as PlainConsultation);
    consultation.value ??= kept;
    return kept;
  });

  async function load(version = 0): Promise<void> {
    askedVersion = version;
    try {
      consultation.value = await client.services.consultations.getConsultation({ id });
      wrong.value = "";
    } catch (error) {
      askedVersion = -1;
      const isGone = error instanceof RefusalError && [RefusalCode.FORBIDDEN, RefusalCode.NOT_FOUND].includes(error.code);
      // A line that is gone is known sooner than what the disk holds.
      if (isGone || (!consultation.value && !(await cached))) wrong.value = describeError(error);
    }
  }
  void load();
  // With every event, so that a question that failed is asked again.
  watch([() => live.view.rulesVersion, () => live.view.rows], ([version]) => {
    if (version > Math.max(askedVersion, consultation.value?.version ?? 0)) void load(version);
  });
  onUnmounted(
    client.connectionChanged.on(({ phase }) => {
      if (phase === "online" && (wrong.value !== "" || !consultation.value || kept === consultation.value)) void load();
    }),
  );

  /** The log tells of a change before the service has been asked. */
  const rules = computed(() => {
    void live.view.rulesVersion;
    const { state, slowModeS } = live.room.follower.rules ?? consultation.value ?? { state: ConsultationState.UNSPECIFIED, slowModeS: 0 };
    return { state, slowModeS };
  });
  return { live, consultation, wrong, load, rules };
}
