/** How one would say to whack what a command of ours says. */
import type { PlutoCommand, PlutoConnection, PlutoEnd } from '#src/native.js';

const option = (name: string, value: string | number | null): string[] => (value === null ? [] : [name, `${value}`]);

const end = ({ id, host, ikePort, client }: PlutoEnd): string[] => [
  ...['--id', id, '--host', host ?? '%any', '--client', client, '--updown', ''],
  ...option('--ikeport', ikePort),
];

/** 5.0 renamed --forceencaps, and gave up --dpdaction. */
const flags = (version: string, { dpdAction }: PlutoConnection): string[] =>
  Number.parseInt(version, 10) >= 5 ? ['--encapsulation=yes'] : ['--forceencaps', '--dpdaction', dpdAction];

const add = (version: string, it: PlutoConnection): string[] => [
  ...['--psk', '--encrypt', '--initialcontact', ...flags(version, it)],
  ...[...end(it.local), '--to', ...end(it.remote)],
  ...option('--dpddelay', it.dpdDelayS),
  ...option('--retransmit-timeout', it.retransmitTimeoutS),
  ...option('--retransmit-interval', it.retransmitIntervalMs),
  ...option('--ipsec-interface', it.ifId),
  ...option('--reqid', it.reqid),
  ...option('--ike', it.ike),
  ...option('--esp', it.esp),
];

const actions = ['delete', 'route', 'unroute', 'initiate', 'terminate'] as const;

export function whackWords(version: string, command: PlutoCommand): string[] {
  if (command.op !== 'connection') return [`--${command.op}`];
  return [
    ...['--name', command.name, '--asynchronous'],
    ...(command.add ? add(version, command.add) : []),
    ...actions.filter((action) => command[action]).map((action) => `--${action}`),
  ];
}
