// Who is here, by organisation: the tree in its order, each with those below it. Pure.
import type { Organisation } from "@yitang/sdk";

export interface PresenceLine {
  id: number;
  name: string;
  people: number;
  depth: number;
  /** Organisations below it that have someone here. */
  below: number;
  /** Whether those are shown. */
  open: boolean;
}

export interface PresenceInput {
  organisations: Pick<Organisation, "id" | "name" | "parent">[];
  /** People of an organisation and those below it. */
  counts: { organisation: number; people: number }[];
  /** Organisations whose own are shown; those at the top always show theirs. */
  opened: ReadonlySet<number>;
  /** Only those with this in their name, or below one that has; empty: all. */
  wanted: string;
}

export function presenceLines({ organisations, counts, opened, wanted }: PresenceInput): PresenceLine[] {
  const people = new Map(counts.map(({ organisation, people: count }) => [organisation, count]));
  const children = new Map<number, typeof organisations>();
  for (const organisation of organisations) {
    if (!people.get(organisation.id)) continue;
    const parent = people.get(organisation.parent) ? organisation.parent : 0;
    const siblings = children.get(parent);
    if (siblings) siblings.push(organisation);
    else children.set(parent, [organisation]);
  }
  for (const siblings of children.values()) siblings.sort((a, b) => (people.get(b.id) ?? 0) - (people.get(a.id) ?? 0) || a.id - b.id);
  const text = wanted.trim();
  const lines: PresenceLine[] = [];
  const walk = (parent: number, depth: number): void => {
    for (const { id, name } of children.get(parent) ?? []) {
      const below = children.get(id)?.length ?? 0;
      const open = below > 0 && (depth === 0 || opened.has(id) || text !== "");
      if (text === "" || name.includes(text)) lines.push({ id, name, people: people.get(id) ?? 0, depth, below, open });
      if (open) walk(id, depth + 1);
    }
  };
  walk(0, 0);
  return lines;
}
