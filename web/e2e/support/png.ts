// Pictures small enough for a repository: at most 256 colours, chosen for what is on them.
import { crc32 } from "node:zlib";
import { deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const MOST = 256;

interface Raster {
  width: number;
  height: number;
  /** One 0xRRGGBB for each pixel. */
  pixels: Uint32Array;
}

/** The same picture with a palette. Takes what Chromium makes: 8 bits a channel, not interlaced. */
export function reduceToPalette(png: Buffer): Buffer {
  const raster = decode(png);
  const counts = new Map<number, number>();
  for (const pixel of raster.pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const palette = paletteOf(counts);
  const nearest = new Map<number, number>();
  for (const colour of counts.keys()) nearest.set(colour, nearestOf(palette, colour));
  return encode(raster, palette, nearest);
}

function decode(png: Buffer): Raster {
  if (!png.subarray(0, 8).equals(SIGNATURE)) throw new Error("not a PNG");
  let [width, height, channels] = [0, 0, 0];
  const data: Buffer[] = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString("latin1", at + 4, at + 8);
    const body = png.subarray(at + 8, at + 8 + length);
    if (type === "IHDR") {
      [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)];
      channels = body[9] === 6 ? 4 : body[9] === 2 ? 3 : 0;
      if (body[8] !== 8 || channels === 0 || body[12] !== 0) throw new Error("a PNG of another kind");
    } else if (type === "IDAT") data.push(body);
    at += 12 + length;
  }
  const raw = inflateSync(Buffer.concat(data));
  const stride = width * channels;
  const pixels = new Uint32Array(width * height);
  let above = new Uint8Array(stride);
  for (let y = 0; y < height; y += 1) {
    const filter = raw[y * (stride + 1)] ?? 0;
    const line = new Uint8Array(raw.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1)));
    for (let x = 0; x < stride; x += 1) {
      const left = x >= channels ? (line[x - channels] ?? 0) : 0;
      const up = above[x] ?? 0;
      const corner = x >= channels ? (above[x - channels] ?? 0) : 0;
      line[x] = ((line[x] ?? 0) + predicted(filter, left, up, corner)) & 0xff;
    }
    for (let x = 0; x < width; x += 1) {
      const at = x * channels;
      pixels[y * width + x] = ((line[at] ?? 0) << 16) | ((line[at + 1] ?? 0) << 8) | (line[at + 2] ?? 0);
    }
    above = line;
  }
  return { width, height, pixels };
}

function predicted(filter: number, left: number, up: number, corner: number): number {
  switch (filter) {
    case 1:
      return left;
    case 2:
      return up;
    case 3:
      return (left + up) >> 1;
    case 4: {
      const guess = left + up - corner;
      const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
      return a <= b && a <= c ? left : b <= c ? up : corner;
    }
    default:
      return 0;
  }
}

const channel = (colour: number, index: number) => (colour >> (16 - 8 * index)) & 0xff;

/** Median cut: the box with the widest spread is cut in two until there are enough. */
function paletteOf(counts: Map<number, number>): number[] {
  if (counts.size <= MOST) return [...counts.keys()];
  let boxes = [[...counts.keys()]];
  const spread = (box: number[]) => {
    const widths = [0, 1, 2].map((index) => Math.max(...box.map((one) => channel(one, index))) - Math.min(...box.map((one) => channel(one, index))));
    const index = widths.indexOf(Math.max(...widths));
    return { index, width: widths[index] ?? 0 };
  };
  const known = new Map<number[], { index: number; width: number }>();
  const spreadOf = (box: number[]) => {
    const found = known.get(box) ?? spread(box);
    known.set(box, found);
    return found;
  };
  while (boxes.length < MOST) {
    const widest = boxes.reduce((a, b) => (spreadOf(b).width * Math.log2(b.length + 1) > spreadOf(a).width * Math.log2(a.length + 1) ? b : a));
    if (widest.length < 2) break;
    const { index } = spreadOf(widest);
    const sorted = [...widest].sort((a, b) => channel(a, index) - channel(b, index));
    const middle = sorted.length >> 1;
    boxes = [...boxes.filter((box) => box !== widest), sorted.slice(0, middle), sorted.slice(middle)];
  }
  // The commonest of each box stands for it: the paper and the ink keep their very colour.
  return boxes.map((box) => box.reduce((a, b) => ((counts.get(b) ?? 0) > (counts.get(a) ?? 0) ? b : a)));
}

function nearestOf(palette: number[], colour: number): number {
  let [best, least] = [0, Infinity];
  for (const [index, one] of palette.entries()) {
    const distance = [0, 1, 2].reduce((sum, at) => sum + (channel(one, at) - channel(colour, at)) ** 2, 0);
    if (distance < least) [best, least] = [index, distance];
  }
  return best;
}

function encode({ width, height, pixels }: Raster, palette: number[], nearest: Map<number, number>): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const lines = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) lines[y * (width + 1) + 1 + x] = nearest.get(pixels[y * width + x] ?? 0) ?? 0;
  }
  const colours = Buffer.from(palette.flatMap((colour) => [0, 1, 2].map((index) => channel(colour, index))));
  return Buffer.concat([SIGNATURE, chunk("IHDR", head), chunk("PLTE", colours), chunk("IDAT", deflateSync(lines, { level: 9 })), chunk("IEND", Buffer.alloc(0))]);
}

function chunk(type: string, body: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, "latin1"), body]);
  const out = Buffer.alloc(named.length + 8);
  out.writeUInt32BE(body.length, 0);
  named.copy(out, 4);
  out.writeUInt32BE(crc32(named) >>> 0, named.length + 4);
  return out;
}
