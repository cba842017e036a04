// What RowWindow uses of virtua's core without a name for it.
import { ACTION_ITEMS_LENGTH_CHANGE, createListLayout, createVirtualStore } from "virtua/unstable_core";
import { expect, it } from "vitest";

it("virtua's core scrolls by its action 1, and 2 ends that", () => {
  const store = createVirtualStore(createListLayout(100, 50)) as {
    $update(action: number, value?: number): void;
    $getScrollOffset(): number;
    $getTotalSize(): number;
    $isScrolling(): boolean;
  };
  store.$update(ACTION_ITEMS_LENGTH_CHANGE, 200);
  expect(store.$getTotalSize()).toBe(10_000);
  store.$update(1, 9_000);
  expect([store.$getScrollOffset(), store.$isScrolling()]).toEqual([9_000, true]);
  store.$update(2);
  expect([store.$getScrollOffset(), store.$isScrolling()]).toEqual([9_000, false]);
});
