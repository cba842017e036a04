// Writes src/gen/ from the contract's descriptors, with protoc-gen-es and without protoc.
//
//   npm run generate             write the files
//   npm run generate -- --check  say whether they are what the contract gives; exit 1 if not
//
// The descriptors come from `cargo run -p proto --example descriptors`, or from the file that DESCRIPTORS names.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, CodeGeneratorResponseSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const here = dirname(fileURLToPath(import.meta.url));
const repository = join(here, "..", "..", "..");
const gen = join(here, "..", "src", "gen");
const check = process.argv.includes("--check");

function descriptors() {
  if (process.env.DESCRIPTORS) return readFileSync(process.env.DESCRIPTORS);
  const folder = mkdtempSync(join(tmpdir(), "descriptors-"));
  const file = join(folder, "public.bin");
  try {
    const cargo = ["run", "-q", "--locked", "-p", "proto", "--example", "descriptors"];
    if (process.env.CARGO_PROFILE) cargo.push("--profile", process.env.CARGO_PROFILE);
    execFileSync("cargo", [...cargo, "--", file], { cwd: repository, stdio: "inherit" });
    return readFileSync(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const set = fromBinary(FileDescriptorSetSchema, descriptors());
const request = create(CodeGeneratorRequestSchema, {
  fileToGenerate: set.file.map((file) => file.name),
  parameter: "target=ts,import_extension=js",
  protoFile: set.file,
});
const bin = join(dirname(createRequire(import.meta.url).resolve("@bufbuild/protoc-gen-es/package.json")), "bin", "protoc-gen-es");
const plugin = spawnSync(process.execPath, [bin], {
  input: toBinary(CodeGeneratorRequestSchema, request),
  maxBuffer: 64 * 1024 * 1024,
});
if (plugin.status !== 0) throw new Error(plugin.stderr.toString());
const answer = fromBinary(CodeGeneratorResponseSchema, plugin.stdout);
if (answer.error) throw new Error(answer.error);

// One flat folder: the package has one version, and imports stay short.
const flat = (text) => text.replace(/from "\.\/(\w+_pb\.js)"/g, 'from "./$1"');
const files = new Map(answer.file.map((file) => [file.name.replace("yitang/v1/", ""), flat(file.content)]));

if (check) {
  const there = new Set(readdirSync(gen));
  const stale = [...files].filter(([name, text]) => !there.has(name) || readFileSync(join(gen, name), "utf8") !== text);
  const extra = [...there].filter((name) => !files.has(name));
  const wrong = [...stale.map(([name]) => name), ...extra];
  if (wrong.length > 0) {
    console.error(`sdk/src/gen is not what the contract gives: ${wrong.join(", ")}. Run: npm run generate`);
    process.exit(1);
  }
  console.log(`sdk/src/gen is what the contract gives (${files.size} files)`);
} else {
  rmSync(gen, { recursive: true, force: true });
  mkdirSync(gen, { recursive: true });
  for (const [name, text] of files) writeFileSync(join(gen, name), text);
  console.log(`wrote ${files.size} files to sdk/src/gen`);
}
