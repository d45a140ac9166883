// sim.mjs owns what the SDK tests share: the running simulator's commands, names, and host names.
//
// run.sh has started the simulator and put its variables into the environment.
import { spawnSync } from 'node:child_process';
import dns from 'node:dns';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';

// Node 18 has no such global, and the Azure SDK's parts want one.
globalThis.crypto ??= webcrypto;

// Names under .localhost are this machine (RFC 6761), also where the C library does not know that.
const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(host.endsWith('.localhost') ? '127.0.0.1' : host, ...rest);

export const port = new URL(process.env.AWS_ENDPOINT_URL).port;

// Runs `keyfence-kms-sim ctl ARGS` and returns what it prints.
export function ctl(...args) {
  const run = spawnSync(process.env.KEYFENCE_KMS_SIM, ['ctl', ...args], { encoding: 'utf8' });
  assert.equal(run.status, 0, `ctl ${args.join(' ')}: ${run.stderr}`);
  return run.stdout.trim();
}

// The variables that `demo-env ARGS` would export, as an object; unset ones are undefined.
export function demoEnv(...args) {
  const run = spawnSync(process.env.KEYFENCE_KMS_SIM, ['demo-env', ...args], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  return variables(run.stdout);
}

export function variables(text) {
  const env = {};
  for (const line of text.split('\n')) {
    const [, name, value] = line.match(/^export (\w+)='([^']*)'/) ?? [];
    if (name) env[name] = value;
    if (line.startsWith('unset ')) for (const gone of line.split(' ').slice(1)) env[gone] = undefined;
  }
  return env;
}

// Runs `body` with these variables, and puts back what was there.
export async function withEnv(env, body) {
  const before = { ...process.env };
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  try {
    return await body();
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

// Whether the promise is refused with an error of that class name.
export async function refused(promise, name, text = /./s) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.name, name, `${error.name}: ${error.message}`);
    if (error.message) assert.match(error.message, text);
    return true;
  });
}

// What keyfence's own agent says to these lines of kms-call (tests/functional/kms-call.c): the TEXT of
// each answer, which must be an ok.
export const volume = '01234567-89ab-cdef-0123-456789abcdef';
export function keyfence(...lines) {
  const run = spawnSync(process.env.KEYFENCE_KMS_CALL, [process.env.KEYFENCE_AGENT, '10000'],
    { encoding: 'utf8', input: `${lines.join('\n')}\n` });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout.trimEnd().split('\n').map((line) => {
    assert.match(line, /^ok /);
    return line.split(' ').slice(4).join(' ');
  });
}
