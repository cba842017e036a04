// A screen in a hall: signs in by its link, follows one consultation, and keeps itself alive for days.
import { type Consultation, ConnectionLost, type Entry, type Presence, RefusalError, RefusalCode, type Room } from "@yitang/sdk";
import { onUnmounted, ref, shallowReactive, shallowRef } from "vue";
import { client } from "../../shell/client";
import { people } from "../../shell/people";
import { restore } from "../../shell/session";
import { useKeepAlive } from "./keep-alive";

/** Comments that stand on the screen at most. */
const SHOWN_MOST = 9;
/** Between two drawings, ms: while it is quiet, and in a flood, when nobody reads faster and the number goes on. */
const CALM_MS = 250;
const FLOOD_MS = 1_600;
const FLOOD_PER_S = 3;
const TICK_MS = 250;
/** Events held before the log is taken up anew, so that a day's screen weighs what an hour's does. */
const HELD_MOST = 3_000;
const TRY_MS = 2_000;
const TRY_MOST_MS = 30_000;

export type Trouble = "" | "missing" | "ended" | "notShown";

export interface HallView {
  comments: Entry[];
  presence: Presence | undefined;
  /** Seen at least once. */
  isLive: boolean;
  /** The line stands. */
  isOnline: boolean;
  /** When what is shown was last known to be true (milliseconds since 1970). */
  trueMs: number;
}

export function useHall(id: string, secret: string) {
  const consultation = shallowRef<Consultation>();
  const trouble = ref<Trouble>(secret === "" ? "missing" : "");
  const view = shallowReactive<HallView>({ comments: [], presence: undefined, isLive: false, isOnline: false, trueMs: 0 });
  let room: Room | undefined;
  let stopRoom: (() => void) | undefined;
  let dirty = true;
  let drawnAt = 0;
  let drawnSeq = 0;
  let over = false;
  let wait = TRY_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let askedVersion = 0;

  /** Signs in until it is let in, or told that the link has ended. */
  async function signIn(): Promise<void> {
    clearTimeout(timer);
    if (over) return;
    try {
      if (secret !== "") await client.signInDisplay(secret);
      // Without a link: those who may watch see what a screen would show.
      else if ((await restore()) !== "in") return;
      trouble.value = "";
      wait = TRY_MS;
      await client.start();
      void people.loadOrganisations().catch(() => undefined);
      enterRoom();
      await load();
    } catch (error) {
      if (error instanceof RefusalError && error.code === RefusalCode.LINK_INVALID) return goDark();
      if (!(error instanceof RefusalError || error instanceof ConnectionLost)) console.error(error);
      timer = setTimeout(() => void signIn(), wait);
      wait = Math.min(wait * 2, TRY_MOST_MS);
    }
  }
  /** The link was ended: nothing of the consultation stays on the screen. */
  function goDark(): void {
    over = true;
    trouble.value = "ended";
    Object.assign(view, { comments: [], here: undefined, isLive: false, isOnline: false });
    leaveRoom();
    void client.stop();
  }
  async function load(): Promise<void> {
    try {
      consultation.value = await client.services.consultations.getConsultation({ id });
      askedVersion = consultation.value.version;
    } catch {
      // The log tells of the next change; until then the title is the one that stood.
      askedVersion = 0;
    }
  }

  function enterRoom(): void {
    leaveRoom();
    room = client.enter(id);
    stopRoom = room.changed.on(() => (dirty = true));
    dirty = true;
  }
  function leaveRoom(): void {
    stopRoom?.();
    if (room) client.leave(room);
    room = undefined;
  }

  function tick(): void {
    if (!room || over) return;
    view.isOnline = client.online;
    if (client.online && room.phase === "live") view.trueMs = client.now();
    if (room.phase === "refused") trouble.value = "notShown";
    else if (trouble.value === "notShown") trouble.value = "";
    if (!dirty) return;
    const now = performance.now();
    const { follower, timeline } = room;
    const isFlood = ((follower.delivered - drawnSeq) * 1_000) / Math.max(now - drawnAt, 1) > FLOOD_PER_S;
    if (view.isLive && now - drawnAt < (isFlood ? FLOOD_MS : CALM_MS)) return;
    dirty = false;
    drawnAt = now;
    drawnSeq = follower.delivered;
    view.presence = room.presence;
    if (room.phase !== "live") return;
    view.isLive = true;
    const comments: Entry[] = [];
    for (let seq = follower.delivered; seq >= follower.oldest && comments.length < SHOWN_MOST; seq -= 1) {
      const entry = timeline.get(seq);
      if (entry?.kind.case === "comment" && !entry.kind.gone) comments.unshift(entry);
    }
    view.comments = comments;
    const version = follower.rules?.version ?? 0;
    if (version > askedVersion) {
      askedVersion = version;
      void load();
    }
    if (timeline.size > HELD_MOST && client.online) enterRoom();
  }

  const ticker = setInterval(tick, TICK_MS);
  const stops = [
    client.connectionChanged.on(({ phase }) => {
      // The token may be too old, the link may have ended: signing in tells which.
      if (phase === "ended" && !over) timer = setTimeout(() => void signIn(), TRY_MS);
      if (phase === "online" && consultation.value === undefined) void load();
    }),
    useKeepAlive(() => ({ isOnline: view.isOnline || over, isQuiet: performance.now() - drawnAt > 30_000 })),
  ];
  void signIn();
  onUnmounted(() => {
    over = true;
    clearInterval(ticker);
    clearTimeout(timer);
    for (const stop of stops) stop();
    leaveRoom();
  });
  return { consultation, trouble, view };
}
