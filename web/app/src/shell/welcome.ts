// Whether the first visit has explained itself on this device.
const KEY = "yitang-welcomed";

export function isWelcomed(): boolean {
  try {
    return localStorage.getItem(KEY) !== null;
  } catch {
    return false;
  }
}
export function markWelcomed(): void {
  try {
    localStorage.setItem(KEY, "1");
  } catch {
    // A private window: it explains itself again.
  }
}
