// A consultation read back as a document: all of it, in pages, with time for the browser between them.
import { type Consultation, type Entry, toEntry } from "@yitang/sdk";
import { onUnmounted, ref, shallowRef } from "vue";
import { client } from "../../shell/client";
import { describeError } from "../../shell/errors";
import { appendToBlocks, type Block } from "./blocks";

const PAGE = 200;
/** Lets the browser draw and hear before more is done. */
const breath = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

export function useRecord(id: string) {
  const consultation = shallowRef<Consultation>();
  const blocks = shallowRef<Block[]>([]);
  const loaded = ref(0);
  const all = ref(0);
  const done = ref(false);
  const wrong = ref("");
  const bySeq = new Map<number, Entry>();
  let over = false;
  let after = 0;
  let epoch = 0;

  async function load(): Promise<void> {
    wrong.value = "";
    try {
      consultation.value ??= await client.services.consultations.getConsultation({ id });
      while (!over && !done.value) {
        const page = await client.services.conversations.getPage({ conversation: id, epoch, where: { case: "after", value: BigInt(after) }, limit: PAGE });
        epoch = page.epoch;
        all.value = Number(page.headMseq);
        const entries = page.events.map(toEntry);
        after = entries[entries.length - 1]?.seq ?? after;
        const comments = entries.filter((entry) => entry.kind.case === "comment");
        for (const entry of comments) bySeq.set(entry.seq, entry);
        loaded.value += comments.length;
        done.value = entries.length === 0 || page.completeAfter;
        blocks.value = appendToBlocks(blocks.value, comments);
        await breath();
      }
    } catch (error) {
      wrong.value = describeError(error);
    }
  }
  void load();
  onUnmounted(() => (over = true));
  return { consultation, blocks, loaded, all, done, wrong, load, entryOf: (seq: number) => bySeq.get(seq) };
}
