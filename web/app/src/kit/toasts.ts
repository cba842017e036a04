import { ref } from "vue";

export interface Toast {
  id: number;
  text: string;
  bad: boolean;
}

const SHOWN_MS = 5_000;
let next = 0;
export const toasts = ref<Toast[]>([]);

/** A short word at the edge of the screen; read out politely. */
export function toast(text: string, bad = false): void {
  const id = (next += 1);
  toasts.value = [...toasts.value.slice(-2), { id, text, bad }];
  setTimeout(() => (toasts.value = toasts.value.filter((one) => one.id !== id)), SHOWN_MS);
}
