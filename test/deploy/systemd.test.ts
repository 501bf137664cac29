/** The unit for machines without Kubernetes. It is not started here: what systemd says of it is read. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { OPTION_KEYS, OPTIONS } from '#src/config/options.js';
import { loadConfig } from '#src/config.js';
import { missingCapabilities } from '../../src/cli/permission.js';
import { ROOT, run } from './rootfs.js';

const unit = readFileSync(join(ROOT, 'deploy/systemd/corax.service'), 'utf8');
const settings = unit
  .split('\n')
  .filter((line) => /^[A-Z]\w*=/.test(line))
  .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const);
const setting = (name: string) => settings.filter(([key]) => key === name).map(([, value]) => value);

describe('corax.service', () => {
  let folder: string;
  let file: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'corax-unit-'));
    file = join(folder, 'corax.service');
    // systemd wants the program to be there.
    writeFileSync(file, unit.replace('/usr/local/bin/corax', process.execPath));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('systemd has nothing to say against it', () => {
    const { status, stdout, stderr } = run('systemd-analyze', 'verify', '--man=no', file);
    assert.equal(`${stdout}${stderr}`, '');
    assert.equal(status, 0);
  });

  test('its exposure, as systemd counts it, is at most 3.0', () => {
    const { status, stdout, stderr } = run(
      'systemd-analyze',
      'security',
      '--offline=true',
      '--no-pager',
      '--threshold=30',
      file,
    );
    assert.equal(status, 0, `${stderr}\n${stdout.split('\n').slice(-4).join('\n')}`);
  });

  test('it has the capabilities that the agent asks for, and no others', () => {
    const [bounding = ''] = setting('CapabilityBoundingSet');
    assert.deepEqual(bounding.split(' ').sort(), missingCapabilities('CapEff:\t0000000000000000').sort());
  });

  test('the command line has flags of the agent only, and the key from a credential', () => {
    const [start = ''] = setting('ExecStart');
    const [, command, ...words] = start.split(' ');
    assert.equal(command, 'agent');
    const known = new Set<string>([...OPTION_KEYS.map((key) => OPTIONS[key].flag), '--config']);
    for (const word of words.filter((each) => each.startsWith('--'))) assert.ok(known.has(word), word);
    assert.deepEqual(setting('LoadCredential'), ['psk:/etc/corax/psk']);
    assert.match(start, /--psk-file \$\{CREDENTIALS_DIRECTORY\}\/psk/);
  });

  test('the example of a configuration file is one', () => {
    const config = join(folder, 'corax.yaml');
    const example = readFileSync(join(ROOT, 'deploy/systemd/corax.yaml'), 'utf8');
    writeFileSync(config, example.replace('/srv/gateways', folder));
    const loaded = loadConfig({ config }, { VPN_CONNECTION_PSK: 'a key of the test' });
    assert.deepEqual(loaded.warnings, []);
    assert.equal(loaded.config.node, 'edge-a');
    assert.deepEqual(loaded.config.stun, ['stun.example.org:3478']);
    // Where the agent may write is where the example has its Gateways.
    assert.deepEqual(setting('ReadWritePaths'), [`-${/^gateways: (.*)$/m.exec(example)?.[1]}`]);
  });
});
