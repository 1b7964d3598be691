// Runs a WebAssembly program that expects WASI: node wasi.mjs PROGRAM ARGUMENT…
import fs from 'node:fs';
import { WASI } from 'node:wasi';

const wasi = new WASI({ version: 'preview1', args: process.argv.slice(2), env: process.env, preopens: {} });
const program = new WebAssembly.Module(fs.readFileSync(process.argv[2]));
process.exit(wasi.start(new WebAssembly.Instance(program, wasi.getImportObject())));
