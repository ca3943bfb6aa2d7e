// What the judges share: reading .npy files, and onnxruntime with all optimisation off.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const SKIPPED = 77;

const ARRAYS = {
  '<f4': Float32Array, '|u1': Uint8Array, '|i1': Int8Array, '<i4': Int32Array,
};

// An .npy file of version 1: { shape, values }.
export function readNpy(path) {
  const bytes = readFileSync(path);
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, start);
  const descr = /'descr': '([^']+)'/.exec(header)[1];
  const shape = /'shape': \(([^)]*)\)/.exec(header)[1].split(',').filter(s => s.trim()).map(Number);
  const copy = bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length);
  return { shape, values: new ARRAYS[descr](copy) };
}

// onnxruntime-node from $PTQD_NODE_MODULES or below build-node of the source tree; undefined when it
// is in neither.
export function loadRuntime(root) {
  const modules = process.env.PTQD_NODE_MODULES ?? join(root, 'build-node', 'node_modules');
  if (!existsSync(join(modules, 'onnxruntime-node'))) return undefined;
  return createRequire(join(modules, 'x'))('onnxruntime-node');
}

export function openModel(runtime, path) {
  return runtime.InferenceSession.create(path, {
    graphOptimizationLevel: 'disabled', intraOpNumThreads: 1, interOpNumThreads: 1,
  });
}

// The values and shape that a model of one input and one output gives.
export async function execute(runtime, session, values, shape) {
  const input = new runtime.Tensor('float32', values, shape);
  const result = await session.run({ [session.inputNames[0]]: input });
  const output = result[session.outputNames[0]];
  return { shape: output.dims, values: output.data };
}

// Calls `work` with the path of a new directory, which is gone afterwards.
export async function withDirectory(work) {
  const path = mkdtempSync(join(tmpdir(), 'ptqd-judge-'));
  try {
    return await work(path);
  } finally {
    rmSync(path, { recursive: true });
  }
}
