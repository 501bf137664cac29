/** This machine's pluto in a network namespace of its own, for as long as somebody wants it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Secret } from '#src/model/secret.js';
import { openPluto, type Pluto } from '#src/native.js';
import { findPluto, type PlutoFiles, plutoFiles, prepareFiles } from '#src/tunnel/libreswan/pluto-files.js';

export interface LivePluto {
  readonly program: string;
  readonly files: PlutoFiles;
  readonly pluto: Pluto;
  readonly version: string;
  stop(): Promise<void>;
}

/** Listening on that address. */
export async function startPluto(address: string): Promise<LivePluto> {
  const folder = await mkdtemp(join(tmpdir(), 'corax-pluto-'));
  const files = plutoFiles(folder);
  await prepareFiles(files, new Secret('a key for nobody'));
  const flags = ['--nofork', '--rundir', files.run, '--dumpdir', files.run, '--nssdir', files.nss, '--no-dnssec'];
  flags.push('--secretsfile', files.secrets, '--ipsecdir', files.ipsecDir, '--logfile', files.log);
  const script = `ip link set lo up && ip address add ${address}/32 dev lo && exec "$@"`;
  const program = findPluto();
  const command = ['--pdeathsig', 'KILL', '--', 'unshare', '--net', 'sh', '-c', script, 'sh', program, ...flags];
  const child = spawn('setpriv', command, { stdio: 'ignore' });
  const pluto = openPluto(files.socket, { timeoutMs: 120_000 });
  const stop = async () => {
    pluto.close();
    const ended = once(child, 'exit');
    if (child.exitCode === null && child.kill('SIGKILL')) await ended;
    await rm(folder, { recursive: true, force: true });
  };
  for (;;) {
    const said = await pluto.version().catch(() => null);
    if (said !== null) {
      await pluto.send(said.version, { op: 'listen' });
      return { program, files, pluto, version: said.version, stop };
    }
    assert.equal(child.exitCode, null, 'pluto runs');
    await delay(50);
  }
}
