// Does a graph that this program writes compute the same elsewhere? onnxruntime executes one small
// file with each operator, in float and quantized, and gives the output that this program gave,
// element by element.
//
//   node judge_sketches.mjs EXPORT_SKETCHES ROOT
//
// EXPORT_SKETCHES is the test program export_sketches, ROOT the source tree. Exit status 77
// (skipped) when onnxruntime-node is not there, 1 when outputs differ.

import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SKIPPED, execute, loadRuntime, openModel, readNpy, withDirectory } from './runtime.mjs';

// Two sums of a few hundred float32 products in different orders.
const TOLERANCE = 2e-5;

// A sum that falls on a rounding boundary may move one code in one of the two, and with it the
// outputs that read it: of a quantized graph so many may differ.
const MOVED_SHARE_MAX = 0.02;

async function judge(runtime, directory, name) {
  const session = await openModel(runtime, join(directory, `${name}.onnx`));
  const input = readNpy(join(directory, `${name}.x.npy`));
  const expected = readNpy(join(directory, `${name}.y.npy`));
  const output = await execute(runtime, session, input.values, input.shape);
  await session.release();
  if (String(output.shape) !== String(expected.shape))
    return `the shape is ${output.shape}; ${expected.shape} is expected`;
  const differs = (value, i) =>
    !(Math.abs(value - output.values[i]) <= TOLERANCE * (1 + Math.abs(value)));
  const wrong = expected.values.findIndex(differs);
  const allowed = name.endsWith('.quantized') ? MOVED_SHARE_MAX * expected.values.length : 0;
  return expected.values.filter(differs).length <= allowed ? '' :
    `element ${wrong} is ${output.values[wrong]}; ${expected.values[wrong]} is expected`;
}

async function main([exporter, root]) {
  const runtime = loadRuntime(root);
  if (!runtime) {
    console.log('skipped: onnxruntime-node is not there');
    return SKIPPED;
  }
  return withDirectory(async directory => {
    execFileSync(exporter, [directory], { stdio: 'inherit' });
    const files = readdirSync(directory).filter(file => file.endsWith('.onnx')).sort();
    let failures = 0;
    for (const name of files.map(file => file.slice(0, -'.onnx'.length))) {
      const problem = await judge(runtime, directory, name).catch(error => error.message);
      failures += problem !== '';
      console.log(`${problem === '' ? 'ok' : 'WRONG'} ${name} ${problem}`);
    }
    return files.length === 0 || failures > 0 ? 1 : 0;
  });
}

process.exitCode = await main(process.argv.slice(2));
