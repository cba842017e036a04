// One room as the page shows it: drawn at most once a frame, however fast comments come.
import { type Consultation, type Here, RefusalCode, RefusalError, type Room, type RoomPhase } from "@yitang/sdk";
import { onUnmounted, ref, shallowReactive, shallowRef } from "vue";
import { type Row, rowsOf } from "./rows";
import { client, myself } from "./session";
import { say } from "./tell";

export interface RoomView {
  phase: RoomPhase;
  refusal: RefusalError | undefined;
  rows: Row[];
  here: Here | undefined;
  mayPost: boolean;
  mayModerate: boolean;
  postRefusal: RefusalError | undefined;
  behind: boolean;
  completeBefore: boolean;
  headMseq: number;
  newestSeq: number;
}

/** Follows a conversation for as long as the component lives. */
export function useRoom(id: string) {
  const room: Room = client.enter(id);
  const consultation = shallowRef<Consultation>();
  const wrong = ref("");
  const writtenAt = new Map<string, number>();
  let unreadAfter: number | undefined;
  let askedVersion = -1;
  let frame = 0;
  const view = shallowReactive<RoomView>(look());

  function look(): RoomView {
    const { follower } = room;
    if (unreadAfter === undefined && room.phase === "live") unreadAfter = follower.unread > 0 ? follower.readMseq : 0;
    return {
      phase: room.phase,
      refusal: room.refusal,
      rows: rowsOf({
        entries: room.timeline.shown(),
        outgoing: client.outbox.list(id),
        me: myself.value,
        unreadAfter: unreadAfter ?? 0,
        writtenAt,
        completeBefore: follower.completeBefore,
      }),
      here: room.here,
      mayPost: room.mayPost,
      mayModerate: room.mayModerate,
      postRefusal: room.postRefusal,
      behind: room.phase === "live" && follower.behind,
      completeBefore: follower.completeBefore,
      headMseq: follower.headMseq,
      newestSeq: follower.delivered,
    };
  }

  function draw(): void {
    frame = 0;
    Object.assign(view, look());
    const version = room.follower.rules?.version ?? 0;
    if (version > Math.max(askedVersion, consultation.value?.version ?? 0)) void load(version);
  }
  function soon(): void {
    // A page in the background draws no frames; it must not fall behind for that.
    frame ||= document.hidden ? setTimeout(draw, 250) : requestAnimationFrame(draw);
  }

  async function load(version = 0): Promise<void> {
    askedVersion = version;
    try {
      consultation.value = await client.services.consultations.getConsultation({ id });
      wrong.value = "";
    } catch (error) {
      askedVersion = -1;
      const gone = error instanceof RefusalError && [RefusalCode.FORBIDDEN, RefusalCode.NOT_FOUND].includes(error.code);
      if (!consultation.value || gone) wrong.value = say(error);
    }
  }

  async function post(text: string, replyTo: number): Promise<void> {
    const head = room.follower.headSeq;
    const sent = await client.post(id, { case: "comment", text, replyTo });
    writtenAt.set(sent.clientId, head);
    soon();
  }

  const stops = [
    room.changed.on(soon),
    client.outboxChanged.on(soon),
    client.connectionChanged.on(({ phase }) => {
      if (phase === "online" && (wrong.value !== "" || !consultation.value)) void load();
    }),
  ];
  void load();
  onUnmounted(() => {
    for (const stop of stops) stop();
    cancelAnimationFrame(frame);
    client.leave(room);
  });
  return { room, view, consultation, wrong, load, post };
}
