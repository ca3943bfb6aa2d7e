// Does an artifact compute what was simulated? onnxruntime, with all optimisation off, executes
// model.onnx on the developer split of each network, in several formats, and the outputs are
// compared with those of the program's own simulation.
//
//   node judge.mjs EXPORT_NETWORK ROOT
//
// EXPORT_NETWORK is the test program export_network, ROOT the source tree. The networks are in
// $PTQD_TEST_DATA or beside the source tree, onnxruntime-node in $PTQD_NODE_MODULES or below
// build-node.
// Exit status 77 (skipped) when one of them is not there, 1 when an artifact disagrees.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SKIPPED, execute, loadRuntime, openModel, readNpy, withDirectory } from './runtime.mjs';

// A slow build (a sanitizer) sets PTQD_TEST_SHORT and judges one network.
const SHORT = process.env.PTQD_TEST_SHORT !== undefined;
const NETWORKS = SHORT ? ['kws'] : ['cifar10', 'kws', 'vww', 'har'];
const FORMATS = SHORT ? ['weights.bits=4'] : ['weights.bits=8', 'weights.bits=4'];
// What differs in the file, not in the network: one with residual sums and one without are enough.
const MORE_NETWORKS = SHORT ? [] : ['cifar10', 'kws'];
const MORE_FORMATS = [
  'weights.bits=4 activations.bits=32',
  'weights.bits=32 activations.bits=4',
  'weights.bits=3 weights.scheme=asymmetric activations.bits=8',
  'weights.bits=4 @first weights.bits=8 activations.bits=8 @*0* weights.scheme=asymmetric ' +
    '@*2* activations.bits=6 weights.bits=5 @*3* skip=true @last skip=true',
];
const BATCH = 50;

// A sum that falls on a rounding boundary may move one code in one of the two, and with it a few
// outputs of that sample: most outputs agree to float32 rounding, some differ by a step.
const AGREEMENT_MIN = 0.995;
const MEDIAN_MAX = 1e-4;
const PERCENTILE_99_MAX = 0.02;

function scaleOf(directory) {
  const path = join(directory, 'meta.json');
  const meta = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  return meta.scale ?? 1;
}

// Outputs of all samples, one after the other.
async function executeAll(runtime, model, samples, scale) {
  const session = await openModel(runtime, model);
  const [count, ...shape] = samples.shape;
  const elements = shape.reduce((product, extent) => product * extent, 1);
  const outputs = [];
  for (let first = 0; first < count; first += BATCH) {
    const size = Math.min(BATCH, count - first);
    const stored = samples.values.subarray(first * elements, (first + size) * elements);
    const values = Float32Array.from(stored, value => value * scale);
    outputs.push(...(await execute(runtime, session, values, [size, ...shape])).values);
  }
  await session.release();
  return outputs;
}

function top(values, start, count) {
  let best = start;
  for (let i = start; i < start + count; i++) if (values[i] > values[best]) best = i;
  return best - start;
}

function compare(simulated, executed) {
  const [count, width] = simulated.shape;
  const differences = new Float64Array(count * width);
  let low = Infinity, high = -Infinity, same = 0;
  for (let i = 0; i < differences.length; i++) {
    differences[i] = Math.abs(simulated.values[i] - executed[i]);
    low = Math.min(low, simulated.values[i]);
    high = Math.max(high, simulated.values[i]);
  }
  for (let i = 0; i < count; i++)
    same += top(simulated.values, i * width, width) === top(executed, i * width, width);
  differences.sort();
  const at = share => differences[Math.floor(share * (differences.length - 1))] / (high - low);
  return { agreement: same / count, median: at(0.5), percentile99: at(0.99), largest: at(1) };
}

// The manifest is JSON, and its digest that of the file.
function checkManifest(out) {
  const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'));
  const entry = manifest.artifacts.find(({ name }) => name === 'model.onnx');
  const digest = createHash('sha256').update(readFileSync(join(out, entry.name))).digest('hex');
  if (entry.sha256 !== digest) throw new Error(`manifest: ${entry.sha256} is not ${digest}`);
}

function judge(runtime, exporter, directory, format) {
  return withDirectory(async out => {
    const scale = scaleOf(directory);
    execFileSync(exporter, [directory, String(scale), out, ...format.split(' ')],
      { stdio: 'inherit' });
    checkManifest(out);
    const samples = readNpy(join(directory, 'test_x.npy'));
    const executed = await executeAll(runtime, join(out, 'model.onnx'), samples, scale);
    return compare(readNpy(join(out, 'simulated.npy')), executed);
  });
}

function passes({ agreement, median, percentile99 }) {
  return agreement >= AGREEMENT_MIN && median < MEDIAN_MAX && percentile99 < PERCENTILE_99_MAX;
}

async function main([exporter, root]) {
  const data = process.env.PTQD_TEST_DATA ?? join(root, '..', 'shared', 'data');
  const runtime = loadRuntime(root);
  if (!runtime || !NETWORKS.every(name => existsSync(join(data, name, 'model.onnx')))) {
    console.log('skipped: onnxruntime-node or the networks are not there');
    return SKIPPED;
  }
  let failures = 0;
  for (const name of NETWORKS) {
    for (const format of MORE_NETWORKS.includes(name) ? FORMATS.concat(MORE_FORMATS) : FORMATS) {
      const found = await judge(runtime, exporter, join(data, name), format);
      const verdict = passes(found) ? 'ok' : 'DISAGREES';
      failures += verdict !== 'ok';
      console.log(`${name} ${format}: ${verdict}: top-1 agreement ` +
        `${(100 * found.agreement).toFixed(2)} %, difference as a share of the range: median ` +
        `${found.median.toExponential(1)}, 99th percentile ${found.percentile99.toExponential(1)}, ` +
        `largest ${found.largest.toExponential(1)}`);
    }
  }
  return failures > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
