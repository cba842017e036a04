// The part of a long list that is on the screen, and a little around it. Measuring, and keeping the place while what stands
// above is measured, are virtua's core; its component for Vue makes an element for every row that comes, and lets no press
// through while the list moves. Here elements pass from row to row (slots.ts), presses reach them at any time, and a
// list that stands at its end goes to the new end in one drawing, past all that came between.
import { type PropType, type SlotsType, type VNode, computed, defineComponent, h, onMounted, onUnmounted, onUpdated, shallowRef, watch } from "vue";
import { ACTION_ITEMS_LENGTH_CHANGE, UPDATE_SIZE_EVENT, UPDATE_VIRTUAL_STATE, createContainerDriver, createListLayout, createVirtualStore } from "virtua/unstable_core";
import { Slots } from "./slots";

/** What stands in a row; two rows of one key are the same. */
export interface WindowRow {
  key: string;
}

// The core tells no types. These are what is used of it; its version is pinned.
interface Layout {
  $isSizeEqual(index: number): boolean;
  $findIndex(offset: number): number;
}
interface Store {
  $getStateVersion(): number;
  $getRange(margin: number): [first: number, last: number];
  $getItemOffset(index: number): number;
  $getTotalSize(): number;
  $getViewportSize(): number;
  $getScrollOffset(): number;
  $subscribe(what: number, listener: () => void): () => void;
  $update(action: number, value?: number, option?: boolean): void;
  $dispose(): void;
}
interface Driver {
  $observe(frame: HTMLElement, scroller?: HTMLElement): void;
  $observeItem(element: Element, index: number): () => void;
  $scroll(index: number, how: { align: "nearest" | "center" }): void;
  $effect(): void;
  $dispose(): void;
}
/** Two of the store's actions that the core does not name. */
const ACTION_SCROLL = 1;
const ACTION_SCROLL_END = 2;
/** Rows this far off the screen stand in the document, px. */
const MARGIN = 160;

export default defineComponent({
  name: "RowWindow",
  props: {
    rows: { type: Array as PropType<WindowRow[]>, required: true },
    /** How many rows of `before` stood in front of the first that `now` has, and are gone. */
    countGone: { type: Function as PropType<(before: never, now: never) => number>, required: true },
    /** What has changed is at the beginning: the place is kept from the end. */
    shift: Boolean,
    /** It stands at its end, and goes with it. */
    atEnd: Boolean,
    /** The row that the keyboard is on stands in the document wherever the list is; its index, or -1. */
    kept: { type: Number, required: true },
    scroller: { type: Object as PropType<HTMLElement | null>, default: null },
  },
  slots: Object as SlotsType<{ default: { item: never } }>,
  emits: {
    /** What is seen of the list has another height. */
    resize: () => true,
  },
  setup(props, { emit, expose, slots: content }) {
    const layout = createListLayout(props.rows.length) as Layout;
    const store = createVirtualStore(layout as never) as unknown as Store;
    const driver = createContainerDriver(store as never, layout as never, false) as unknown as Driver;
    const slots = new Slots();
    const frame = shallowRef<HTMLElement>();
    const version = shallowRef(store.$getStateVersion());
    store.$subscribe(UPDATE_VIRTUAL_STATE, () => (version.value = store.$getStateVersion()));
    store.$subscribe(UPDATE_SIZE_EVENT, () => emit("resize"));

    watch(
      () => props.rows,
      (rows, before) => {
        if (!props.atEnd || props.shift) return store.$update(ACTION_ITEMS_LENGTH_CHANGE, rows.length, props.shift);
        // The oldest may go while new ones come: still one drawing, and what was measured stays with its row.
        const gone = props.countGone(before as never, rows as never);
        const total = store.$getTotalSize();
        if (gone > 0) store.$update(ACTION_ITEMS_LENGTH_CHANGE, before.length - gone, true);
        // The store moves by this much itself, px.
        const moved = store.$getTotalSize() - total;
        store.$update(ACTION_ITEMS_LENGTH_CHANGE, rows.length);
        store.$update(ACTION_SCROLL, Math.max(0, store.$getTotalSize() - store.$getViewportSize()) - moved);
        store.$update(ACTION_SCROLL_END);
      },
    );
    watch(version, () => driver.$effect(), { flush: "post" });

    const shown = computed(() => {
      void version.value;
      const [first, last] = store.$getRange(MARGIN);
      const indexes: number[] = [];
      for (let index = Math.max(0, first); index <= last && index < props.rows.length; index += 1) indexes.push(index);
      const { kept } = props;
      if (kept >= 0 && kept < props.rows.length && !indexes.includes(kept)) {
        if (kept < first) indexes.unshift(kept);
        else indexes.push(kept);
      }
      return indexes;
    });

    /** An element that has another row than before is measured anew. */
    const watched = new Map<Element, { index: number; stop: () => void }>();
    /** The rows of the elements that stand in the document. */
    let standing: number[] = [];
    function observe(): void {
      const elements = frame.value?.children ?? [];
      const left = new Set(watched.keys());
      standing.forEach((index, place) => {
        const element = elements[place];
        if (!element) return;
        left.delete(element);
        const before = watched.get(element);
        if (before?.index === index) return;
        before?.stop();
        watched.set(element, { index, stop: driver.$observeItem(element, index) });
      });
      for (const element of left) {
        watched.get(element)?.stop();
        watched.delete(element);
      }
    }
    let started = 0;
    onMounted(() => {
      // The scroller is the parent's, which is mounted after this.
      started = requestAnimationFrame(() => frame.value && driver.$observe(frame.value, props.scroller ?? undefined));
      observe();
    });
    onUpdated(observe);
    onUnmounted(() => {
      cancelAnimationFrame(started);
      store.$dispose();
      driver.$dispose();
    });

    expose({
      /** The index of the row at a place on the screen, px below its upper edge. */
      indexAt: (px: number) => layout.$findIndex(store.$getScrollOffset() + px),
      height: () => store.$getViewportSize(),
      scrollTo: (index: number, align: "nearest" | "center") => driver.$scroll(index, { align }),
    } satisfies WindowHandle);

    return () => {
      void version.value;
      const { rows, kept } = props;
      const indexes = (standing = shown.value);
      const places = slots.place(indexes.map((index) => rows[index]?.key ?? ""), rows[kept]?.key);
      const cells = indexes.map((index, place): VNode => {
        const item = rows[index];
        // Until it is measured, it is not known where it stands.
        const style = { top: `${store.$getItemOffset(index)}px`, visibility: layout.$isSizeEqual(index) ? "hidden" : "visible" };
        return h("div", { key: places[place] ?? 0, class: "cell", style }, item ? content.default?.({ item: item as never }) : []);
      });
      return h("div", { ref: frame, class: "window", style: { height: `${store.$getTotalSize()}px` } }, cells);
    };
  },
});

export interface WindowHandle {
  indexAt(px: number): number;
  height(): number;
  scrollTo(index: number, align: "nearest" | "center"): void;
}
