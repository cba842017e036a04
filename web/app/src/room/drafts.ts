// What is written and not yet sent, by conversation: it outlives a reload, a crash and a dead battery, for it is on the
// device with every key. The one that changes a comment that stands is kept apart.
const PREFIX = "yitang-draft:";

export interface Draft {
  text: string;
  replyTo: number;
  /** The comment that this draft changes; 0: it is a new one. */
  editing: number;
}

export const EMPTY: Readonly<Draft> = { text: "", replyTo: 0, editing: 0 };

function keyOf(person: number, conversation: string, isEdit: boolean): string {
  return `${PREFIX}${person}:${conversation}${isEdit ? ":edit" : ""}`;
}

function read(key: string): Draft {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? "null") as Partial<Draft> | null;
    return { text: String(kept?.text ?? ""), replyTo: Number(kept?.replyTo ?? 0), editing: Number(kept?.editing ?? 0) };
  } catch {
    return { ...EMPTY };
  }
}

/** The draft of a change if one was begun, else that of a new comment. */
export function loadDraft(person: number, conversation: string): Draft {
  const edit = read(keyOf(person, conversation, true));
  return edit.editing > 0 ? edit : loadNew(person, conversation);
}
export function loadNew(person: number, conversation: string): Draft {
  return { ...read(keyOf(person, conversation, false)), editing: 0 };
}

export function keepDraft(person: number, conversation: string, draft: Draft): void {
  const key = keyOf(person, conversation, draft.editing > 0);
  try {
    if (draft.text === "" && draft.editing === 0) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(draft));
  } catch {
    // A private window or a full disk: the draft lives as long as the page.
  }
}
/** A change is sent, or given up. */
export function dropEdit(person: number, conversation: string): void {
  try {
    localStorage.removeItem(keyOf(person, conversation, true));
  } catch {
    // There was none.
  }
}
