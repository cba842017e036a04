// UUIDv7 (RFC 9562) without secure-context APIs: pages of a trial are often served over plain HTTP.

/** A new id that sorts by the time it was made. */
export function uuidv7(nowMs: number = Date.now(), random: Uint8Array = crypto.getRandomValues(new Uint8Array(10))): string {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  const ms = Math.max(0, Math.floor(nowMs));
  view.setUint16(0, Math.floor(ms / 2 ** 32) & 0xffff);
  view.setUint32(2, ms >>> 0);
  bytes.set(random.subarray(0, 10), 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
