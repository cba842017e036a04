// Which element of a window each row stands in. A row keeps its element for as long as it is shown; one that comes takes
// the element of one that went, so that a flood changes texts instead of making and dropping elements. Pure.

export class Slots {
  /** As they stand in the document. */
  #standing: { key: string; slot: number }[] = [];
  #made = 0;

  /** The element of each of these rows, in their order, all different. `fixed` has the focus, which an element loses when it
   * is moved in the document: so nothing that stands on one side of it is taken to the other. */
  place(keys: string[], fixed?: string): number[] {
    const wanted = new Set(keys);
    const held = new Map<string, number>();
    const free: { before: number[]; after: number[] } = { before: [], after: [] };
    const isFixed = fixed !== undefined && wanted.has(fixed) && this.#standing.some(({ key }) => key === fixed);
    let side: keyof typeof free = "before";
    for (const { key, slot } of this.#standing) {
      if (wanted.has(key)) held.set(key, slot);
      else free[side].push(slot);
      if (isFixed && key === fixed) side = "after";
    }
    side = "before";
    this.#standing = keys.map((key) => {
      const slot = held.get(key) ?? free[side].shift() ?? (this.#made += 1);
      if (isFixed && key === fixed) side = "after";
      return { key, slot };
    });
    return this.#standing.map(({ slot }) => slot);
  }
}
