import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { checkPsk } from '#src/config/psk.js';
import { type Environment, type Flags, loadConfig } from '#src/config.js';
import { CoraxError, type ErrorCode } from '#src/errors.js';

const folder = mkdtempSync(path.join(tmpdir(), 'corax-config-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const gateways = path.join(folder, 'gateways');
mkdirSync(gateways);

const PSK = 'hunter2-for-the-tests';
const enough: Flags = { node: 'edge-a', gateways };
const withPsk = (more: Environment = {}): Environment => ({ VPN_CONNECTION_PSK: PSK, ...more });

let files = 0;
function file(content: string | Uint8Array, mode = 0o600): string {
  files += 1;
  const name = path.join(folder, `file-${files}`);
  writeFileSync(name, content);
  chmodSync(name, mode);
  return name;
}

function refusal(flags: Flags, env: Environment): CoraxError {
  try {
    loadConfig(flags, env);
  } catch (error) {
    assert.ok(error instanceof CoraxError, inspect(error));
    return error;
  }
  return assert.fail('nothing was refused');
}

test('defaults', () => {
  const { config, warnings } = loadConfig(enough, withPsk());
  const { psk, ...rest } = config;
  assert.equal(psk?.reveal(), PSK);
  assert.deepEqual(rest, {
    nodeIp: null,
    driver: 'wireguard',
    plutoSocket: null,
    stun: [],
    stateDir: '/var/lib/corax',
    socket: '/run/corax/agent.sock',
    metrics: { host: '127.0.0.1', port: 10265 },
    metricsOptions: { maxPeers: 10_000, wireguardNames: false },
    health: { host: '127.0.0.1', port: 10275 },
    statusPage: true,
    direct: 'auto',
    portMapping: 'auto',
    hardNat: true,
    forwardNodeIp: false,
    logLevel: 'info',
    cleanup: false,
    node: 'edge-a',
    gateways,
    kubeconfig: null,
  });
  assert.deepEqual(warnings, []);
});

test('flags count before the environment, the environment before the file, raven last among flags', () => {
  const config = file('node: from-file\ndirect: none\nlogLevel: debug\nstun: [one.example.org, "192.0.2.1:3479"]\n');
  const load = (flags: Flags, env: Environment) => loadConfig({ gateways, config, ...flags }, withPsk(env)).config;
  assert.equal(load({}, {}).node, 'from-file');
  assert.equal(load({}, { NODE_NAME: 'from-raven-env' }).node, 'from-raven-env');
  assert.equal(load({}, { NODE_NAME: 'from-raven-env', CORAX_NODE: 'from-env' }).node, 'from-env');
  assert.equal(load({ nodeName: 'from-raven-flag' }, { CORAX_NODE: 'from-env' }).node, 'from-raven-flag');
  assert.equal(load({ nodeName: 'from-raven-flag', node: 'from-flag' }, {}).node, 'from-flag');
  assert.equal(load({}, { NODE_NAME: '' }).node, 'from-file', 'an empty variable is not set');
  assert.deepEqual(load({}, {}).stun, ['one.example.org:3478', '192.0.2.1:3479']);
  assert.deepEqual(load({}, { CORAX_STUN: 'a.example.org:1, b.example.org' }).stun, [
    'a.example.org:1',
    'b.example.org:3478',
  ]);
  assert.equal(load({}, {}).logLevel, 'debug');
  assert.equal(loadConfig({}, withPsk({ CORAX_CONFIG: config, CORAX_GATEWAYS: gateways })).config.node, 'from-file');
});

test('where the Gateways are: in a folder, in a cluster by its kubeconfig, or in the one whose pod this is', () => {
  const kubeconfig = file('');
  const pod = { KUBERNETES_SERVICE_HOST: '10.96.0.1' };
  const cases: Array<[Flags, Environment, string | null, string | null]> = [
    [{ gateways }, {}, gateways, null],
    [{ gateways }, pod, gateways, null],
    [{ kubeconfig }, {}, null, kubeconfig],
    [{ kubeconfig }, pod, null, kubeconfig],
    [{}, pod, null, null],
    [{}, { CORAX_KUBECONFIG: kubeconfig }, null, kubeconfig],
    [{ gateways }, { CORAX_KUBECONFIG: kubeconfig }, gateways, null],
    [{ kubeconfig }, { CORAX_GATEWAYS: gateways }, null, kubeconfig],
    [{ config: file(`kubeconfig: ${path.basename(kubeconfig)}`) }, {}, null, kubeconfig],
    [{ config: file(`kubeconfig: nowhere`) }, { CORAX_GATEWAYS: gateways }, gateways, null],
  ];
  for (const [flags, env, inFolder, inCluster] of cases) {
    const { config } = loadConfig({ node: 'edge-a', ...flags }, withPsk(env));
    assert.ok(!config.cleanup);
    assert.deepEqual([config.gateways, config.kubeconfig], [inFolder, inCluster], JSON.stringify([flags, env]));
  }
});

test('where metrics and health are served', () => {
  const cases: Array<[string | undefined, string | undefined, unknown]> = [
    [undefined, '192.0.2.7', { host: '192.0.2.7', port: 10265 }],
    [':9000', '192.0.2.7', { host: '192.0.2.7', port: 9000 }],
    [':9000', undefined, { host: '::', port: 9000 }],
    ['0.0.0.0:9000', '192.0.2.7', { host: '0.0.0.0', port: 9000 }],
    ['[2001:db8::1]:9000', undefined, { host: '2001:db8::1', port: 9000 }],
    ['off', undefined, null],
    ['0', undefined, null],
  ];
  for (const [metricsAddr, NODE_IP, expected] of cases) {
    const flags = metricsAddr === undefined ? enough : { ...enough, metricsAddr };
    assert.deepEqual(loadConfig(flags, withPsk({ NODE_IP })).config.metrics, expected, `${metricsAddr} ${NODE_IP}`);
  }
});

test('the status page: by itself only where nobody else can ask', () => {
  const cases: Array<[Flags, Environment, boolean]> = [
    [{}, {}, true],
    [{ healthAddr: '[::1]:10275' }, {}, true],
    [{ healthAddr: '127.3.2.1:10275' }, {}, true],
    [{ healthAddr: ':10275' }, {}, false],
    [{}, { NODE_IP: '192.0.2.7' }, false],
    [{ statusPage: 'on' }, { NODE_IP: '192.0.2.7' }, true],
    [{}, { NODE_IP: '192.0.2.7', CORAX_STATUS_PAGE: 'on' }, true],
    [{ statusPage: 'off' }, {}, false],
    [{ healthAddr: 'off' }, {}, false],
  ];
  for (const [flags, env, served] of cases) {
    const { config } = loadConfig({ ...enough, ...flags }, withPsk(env));
    assert.equal(config.statusPage, served, JSON.stringify([flags, env]));
  }
  assert.match(refusal({ ...enough, statusPage: 'on', healthAddr: 'off' }, withPsk()).message, /which is off$/);
  assert.match(refusal({ ...enough, statusPage: 'yes' }, withPsk()).message, /expected auto, on or off$/);
});

test('every wrong value is named with its source and what is expected', () => {
  const cases: Array<[Flags, Environment, RegExp]> = [
    [{ gateways }, {}, /^--node is missing \(or NODE_NAME\): expected a node name/],
    [
      { node: 'a' },
      {},
      /^--gateways is missing: expected a folder of Gateway YAML files, or --kubeconfig with a kubeconfig file \(only a pod/,
    ],
    [{ node: 'a', kubeconfig: path.join(folder, 'nowhere') }, {}, /^--kubeconfig ".*nowhere": there is no such file/],
    [{ node: 'a', kubeconfig: folder }, {}, /^--kubeconfig ".*": expected a kubeconfig file, found something else/],
    [{ ...enough, kubeconfig: file('') }, {}, /^--gateways and --kubeconfig: Gateways are in a folder or in a cluster/],
    [{ ...enough, node: 'Not A Name' }, {}, /^--node "Not A Name": expected a node name/],
    [{ ...enough, node: '' }, {}, /^--node "": expected/],
    [{ gateways }, { NODE_NAME: '-x' }, /^NODE_NAME "-x": expected/],
    [{ ...enough, gateways: path.join(folder, 'nowhere') }, {}, /^--gateways ".*nowhere": there is no such folder/],
    [{ ...enough, gateways: file('') }, {}, /^--gateways ".*": expected a folder, found a file/],
    [{ ...enough, driver: 'ipsec' }, {}, /^--driver "ipsec": expected wireguard or libreswan/],
    [
      { ...enough, plutoSocket: '/run/pluto/pluto.ctl' },
      {},
      /^--pluto-socket "\/run\/pluto\/pluto.ctl": pluto is the libreswan driver's/,
    ],
    [
      { ...enough, stun: ['ok.example.org', 'bad host'] },
      {},
      /^--stun \["ok.example.org","bad host"\]: expected HOST:PORT/,
    ],
    [{ ...enough, stun: ['300.1.1.1:3478'] }, {}, /^--stun .*expected HOST:PORT/],
    [{ ...enough, stun: ['a.example.org:70000'] }, {}, /^--stun .*expected HOST:PORT/],
    [enough, { CORAX_STUN: 'a:b:c' }, /^CORAX_STUN \["a:b:c"\]: expected HOST:PORT/],
    [{ ...enough, metricsAddr: '10265' }, {}, /^--metrics-addr "10265": expected ADDRESS:PORT/],
    [{ ...enough, metricsMaxPeers: '-1' }, {}, /^--metrics-max-peers "-1": expected a whole number/],
    [{ ...enough, metricsWireguardNames: 'yes' }, {}, /^--metrics-wireguard-names "yes": expected on or off/],
    [{ ...enough, metricsAddr: 'localhost:10265' }, {}, /^--metrics-addr/],
    [{ ...enough, metricsAddr: ':0' }, {}, /^--metrics-addr/],
    [{ ...enough, metricBindAddr: '2001:db8::1:9' }, {}, /^--metric-bind-addr "2001/],
    [{ ...enough, metricsAddr: ':1', healthAddr: ':1' }, {}, /^--metrics-addr and --health-addr are both :::1/],
    [{ ...enough, socket: `/${'x'.repeat(107)}` }, {}, /^--socket .*expected a path of at most 107 bytes/],
    [{ ...enough, direct: 'some' }, {}, /^--direct "some": expected all, none or auto/],
    [
      { ...enough, direct: 'demand' },
      {},
      /^--direct "demand": direct planes on demand are not in this version yet, use auto/,
    ],
    [{ ...enough, logLevel: 'loud' }, {}, /^--log-level "loud": expected trace/],
    [enough, { NODE_IP: '10.0.0.300' }, /^NODE_IP "10.0.0.300": expected an IPv4 or IPv6 address/],
    [{ ...enough, config: file('node: [a') }, {}, /^--config .*line 1/],
    [{ ...enough, config: file('- a') }, {}, /^--config .*expected "key: value" lines/],
    [{ ...enough, config: file('nodes: a') }, {}, /^--config .*unknown key "nodes": expected node, /],
    [{ ...enough, config: file('direct: 5') }, {}, /^direct in .* 5: expected all, none/],
    [{ ...enough, config: file('stun: a.example.org') }, {}, /^stun in .* "a.example.org": expected/],
    [{ ...enough, config: file('a: &a [x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]') }, {}, /^--config/],
    [{ ...enough, config: path.join(folder, 'nowhere') }, {}, /^--config .*cannot be read: ENOENT/],
    [{ ...enough, config: folder }, {}, /^--config .*no regular file/],
  ];
  for (const [flags, env, message] of cases) {
    const error = refusal(flags, withPsk(env));
    assert.equal(error.code, 'CORAX_CONFIG', error.message);
    assert.match(error.message, message);
  }
});

test('all wrong values are told at once', () => {
  const { message } = refusal({ driver: 'x', direct: 'y' }, withPsk());
  assert.deepEqual(
    message.split('\n').map((line) => line.split(' ')[0]),
    ['--driver', '--direct', '--node', '--gateways'],
  );
});

test('the key: from the environment or a file, one trailing newline stripped', () => {
  const key = (flags: Flags, env: Environment) => loadConfig({ ...enough, ...flags }, env).config.psk?.reveal();
  assert.equal(key({}, { VPN_CONNECTION_PSK: 'abc\n' }), 'abc');
  assert.equal(key({}, { VPN_CONNECTION_PSK: 'abc\n\n' }), 'abc\n');
  assert.equal(key({ pskFile: file('abc\r\n') }, {}), 'abc');
  assert.equal(key({ pskFile: file('from the file') }, { VPN_CONNECTION_PSK: 'x' }), 'from the file');
  assert.equal(key({}, { VPN_CONNECTION_PSK: 'x', CORAX_PSK_FILE: file('y') }), 'x');
  assert.equal(key({}, { VPN_CONNECTION_PSK: '', CORAX_PSK_FILE: file('y') }), 'y');
  const target = file('behind a link, as Kubernetes mounts secrets');
  symlinkSync(target, path.join(folder, 'link'));
  assert.equal(key({ pskFile: path.join(folder, 'link') }, {}), 'behind a link, as Kubernetes mounts secrets');
  const config = file(`pskFile: ${path.basename(file('beside the file'))}`);
  assert.equal(key({ config }, {}), 'beside the file', 'paths in the file are relative to it');
});

test('no key, an empty one, an unreadable one and a public one are refused', () => {
  const cases: Array<[Flags, Environment, RegExp]> = [
    [{}, {}, /no pre-shared key/],
    [{}, { VPN_CONNECTION_PSK: '' }, /VPN_CONNECTION_PSK is empty/],
    [{}, { VPN_CONNECTION_PSK: '\n' }, /VPN_CONNECTION_PSK is empty/],
    [{ pskFile: file('\n') }, {}, /--psk-file .* is empty/],
    [{ pskFile: path.join(folder, 'nowhere') }, {}, /--psk-file .*cannot be read: ENOENT/],
    [{ pskFile: folder }, {}, /cannot be read: it is no regular file/],
    [{ pskFile: file('x'.repeat(4097)) }, {}, /larger than 4096/],
    [{ pskFile: file(Uint8Array.of(0xff, 0xfe, 0x41)) }, {}, /no UTF-8/],
  ];
  for (const [flags, env, message] of cases) {
    const error = refusal({ ...enough, ...flags }, env);
    assert.equal(error.code, 'CORAX_PSK' satisfies ErrorCode);
    assert.match(error.message, message);
  }
  // Put together here, not to spread it
  const publicDefault = ['openyurt', 'raven'].join('-');
  for (const text of [publicDefault, `${publicDefault}\n`]) {
    const error = refusal(enough, { VPN_CONNECTION_PSK: text });
    assert.equal(error.code, 'CORAX_PSK');
    assert.match(error.message, /built-in default, which is public/);
    assert.ok(!error.message.includes(publicDefault));
  }
  assert.equal(checkPsk(`${publicDefault}!`, 'test').reveal(), `${publicDefault}!`);
});

test('a key file that others can read is a warning', () => {
  const { warnings } = loadConfig({ ...enough, pskFile: file('abc', 0o640) }, {});
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /mode 0640\): chmod 0600/);
});

test('the key shows nowhere: not in the environment, not in the Config, not in an error', () => {
  const env = withPsk();
  const { config } = loadConfig(enough, env);
  assert.ok(!('VPN_CONNECTION_PSK' in env));
  for (const shown of [inspect(config, { depth: 9, showHidden: true }), JSON.stringify(config), `${config.psk}`]) {
    assert.ok(!shown.includes(PSK), shown);
    assert.ok(shown.includes('[secret]'), shown);
  }
  const failing = withPsk();
  assert.ok(!refusal({ driver: 'x' }, failing).message.includes(PSK));
  assert.ok(!('VPN_CONNECTION_PSK' in failing), 'dropped also when the configuration is refused');
  const { message } = refusal({ ...enough, config: file(`psk: ${PSK}`) }, {});
  assert.match(message, /psk does not belong here/);
  assert.ok(!message.includes(PSK));
  assert.ok(!refusal({ ...enough, config: file(`psk: : ${PSK}`) }, {}).message.includes(PSK));
});

test('the Config is frozen, all the way down', () => {
  const { config } = loadConfig({ ...enough, stun: ['a.example.org'] }, withPsk());
  for (const part of [config, config.stun, config.metrics, config.psk]) assert.ok(Object.isFrozen(part), inspect(part));
});

test("raven's flags: the same meaning is taken, the rest warns", () => {
  const raven: Flags = {
    gateways,
    nodeName: 'edge-a',
    vpnDriver: 'wireguard',
    metricBindAddr: ':10265',
    healthProbeAddr: ':10275',
    natTraversal: 'true',
    vpnBindPort: '4500',
    keepAliveInterval: '0',
    keepAliveTimeout: '0',
    forwardNodeIp: 'false',
  };
  const { config, warnings } = loadConfig(raven, withPsk({ NODE_IP: '192.0.2.7' }));
  assert.deepEqual(warnings, []);
  assert.equal(config.direct, 'auto');
  assert.deepEqual(config.metrics, { host: '192.0.2.7', port: 10265 });

  assert.equal(config.forwardNodeIp, false);

  const odd = { ...raven, vpnBindPort: '4600', keepAliveInterval: '7', forwardNodeIp: 'true', proxyExternalAddr: ':1' };
  assert.deepEqual(
    loadConfig(odd, withPsk()).warnings.map((warning) => warning.split(' ')[0]),
    ['--vpn-bind-port', '--keep-alive-interval', '--proxy-external-addr'],
  );
  assert.equal(loadConfig(odd, withPsk()).config.forwardNodeIp, true);
  const without = (flags: Flags) => loadConfig({ ...raven, natTraversal: 'false', ...flags }, withPsk()).config.direct;
  assert.equal(without({}), 'none');
  assert.equal(without({ direct: 'all' }), 'all');
});

test('--cleanup needs no key, no name and no folder', () => {
  const { config } = loadConfig({ cleanup: true }, {});
  assert.deepEqual([config.cleanup, config.node, config.gateways, config.psk], [true, null, null, null]);
  assert.equal(refusal({ cleanup: true, driver: 'x' }, {}).code, 'CORAX_CONFIG');
});
