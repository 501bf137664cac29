/**
 * The fallback for a pluto whose messages are not known to us: whack, of the same package, once for each thing that is
 * asked. Some 150 times slower.
 */
import { execFile } from 'node:child_process';
import { CoraxError } from '../../errors.js';
import type { PlutoCommand, PlutoConnection, PlutoEnd, PlutoLine, PlutoReply } from '../../native.js';

const TIMEOUT_MS = 30_000;
const REPLY_LIMIT = 16 * 1024 * 1024;

/** Its arguments for each step of the command, in the order in which pluto is to take them. */
export function whackArguments(version: string, command: PlutoCommand): string[][] {
  if (command.op !== 'connection') return [[`--${command.op}`]];
  const named = (...words: string[]) => [...words, '--name', command.name];
  const steps: string[][] = [];
  if (command.delete) steps.push(named('--delete'));
  if (command.add) steps.push(named(...addArguments(version, command.add)));
  if (command.route) steps.push(named('--route'));
  if (command.unroute) steps.push(named('--unroute'));
  if (command.initiate) steps.push(named('--initiate', '--asynchronous'));
  if (command.terminate) steps.push(named('--terminate', '--asynchronous'));
  return steps;
}

/** 5.0 renamed --forceencaps, and gave up --dpdaction. */
function addArguments(version: string, add: PlutoConnection): string[] {
  const since5 = Number.parseInt(version, 10) >= 5;
  const words = since5 ? ['--encapsulation=yes'] : ['--forceencaps', '--dpdaction', add.dpdAction];
  words.push(
    '--psk',
    '--encrypt',
    '--initialcontact',
    '--reqid',
    String(add.reqid),
    '--dpddelay',
    String(add.dpdDelayS),
  );
  words.push('--retransmit-timeout', String(add.retransmitTimeoutS));
  words.push('--retransmit-interval', String(add.retransmitIntervalMs));
  if (add.ifId !== null) words.push('--ipsec-interface', String(add.ifId));
  if (add.ike !== null) words.push('--ike', add.ike);
  if (add.esp !== null) words.push('--esp', add.esp);
  return [...words, ...endArguments(add.local), '--to', ...endArguments(add.remote)];
}

function endArguments({ id, host, ikePort, client }: PlutoEnd): string[] {
  const port = ikePort === null ? [] : ['--ikeport', String(ikePort)];
  return ['--id', id, '--host', host ?? '%any', '--client', client, ...port, '--updown', ''];
}

/** Runs whack for each step; the replies' lines together. */
export async function askWhack(
  whack: string,
  version: string,
  socket: string,
  command: PlutoCommand,
): Promise<PlutoReply> {
  const lines: PlutoLine[] = [];
  for (const words of whackArguments(version, command))
    lines.push(...(await runWhack(whack, ['--ctlsocket', socket, ...words])));
  return { lines };
}

function runWhack(whack: string, words: readonly string[]): Promise<PlutoLine[]> {
  return new Promise((resolve, reject) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: REPLY_LIMIT };
    execFile(whack, words, options, (error, stdout, stderr) => {
      const lines = parseLines(`${stdout}\n${stderr}`);
      // Its exit code is the last reply's, so only one that says nothing has failed.
      if (error === null || lines.length > 0) resolve(lines);
      else reject(new CoraxError('CORAX_PLUTO', `${whack} failed: ${stderr.trim().slice(0, 200) || error.message}`));
    });
  });
}

export function parseLines(text: string): PlutoLine[] {
  return text.split('\n').flatMap((line) => {
    const match = /^(\d{3}) (.*)$/.exec(line);
    return match === null ? [] : [{ code: Number(match[1]), text: match[2] as string }];
  });
}
